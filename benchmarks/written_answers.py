"""Hand-written answers in the style of models, with the passages that they cite. Some have an error."""

from typing import Final, NamedTuple


class Written(NamedTuple):
    passage: str
    question: str
    right: tuple[str, ...]
    wrong: tuple[str, ...]


WRITTEN: Final = (
    Written(
        "# Espresso machine K2\n\n## Descaling\n\nDescale every 200 cups or every 3 months, if that is sooner."
        " 100 ml of descaler with 900 ml of water. The program takes about 25 minutes. The tank of the K2 holds 1.8"
        " litres; the K2 Pro has a tank of 2.5 litres. The boiler heats up in 1,283 ms.",
        "How do I descale the machine?",
        (
            "You should descale the machine after 200 cups or once a quarter [1].",
            "Prepare a litre of solution: 100 ml of descaler and 0.9 l of water [1].",
            "The whole program runs for roughly half an hour [1].",
            "The K2 Pro's tank is 0.7 litres larger than that of the K2 [1].",
            "**Heating:** the boiler needs about 1.3 s [1].",
            "1. Fill in the mixture, a tenth of which is descaler.\n2. Start the program, over after 25 min [1].",
            "There are two models, the K2 and the K2 Pro, with tanks of 1.8 L and 2.5 L respectively [1].",
            "Step 3: rinse the tank thoroughly with fresh water [1].",
        ),
        (
            "Descale the machine every 500 cups [1].",
            "The program takes about 45 minutes [1].",
            "The tank of the K2 holds 2.8 litres [1].",
            "Mix 100 ml of descaler with 900 ml of water, as Bialetti recommends [1].",
        ),
    ),
    Written(
        "Lease of 14 March 2021 between Ellen Marsh (landlord) and Tomasz Kowalski (tenant). The rent is EUR 1,150.00 a"
        " month, due on the third working day. The deposit is three months' rent. Either party may end the lease with"
        " three months' notice. Pets need the written consent of the landlord; small animals such as fish do not.",
        "What does the lease say about the rent?",
        (
            "The monthly rent is €1150 and has to be paid by the 3rd working day [1].",
            "The deposit amounts to three times the monthly rent, which is 3,450 euros in total [1].",
            "The lease was signed on 2021-03-14 [1].",
            "Mr Kowalski pays 1,150 EUR per month to Ms Marsh [1].",
            "Both sides can terminate with a notice period of 3 months [1].",
            "Dogs and cats require permission in writing, whereas fish are allowed without it [1].",
            "Over a year, this adds up to 13,800 euros [1].",
        ),
        (
            "The monthly rent is €1,250 [1].",
            "The lease was signed on 14 April 2021 [1].",
            "The landlord is Eleanor Hughes [1].",
            "Either party may end the lease with six months' notice [1].",
        ),
    ),
    Written(
        "## Retries\n\nA failed request is repeated up to twice, after 0.5 s and after 2 s. Only the statuses 429, 502,"
        " 503 and 504 are retried. `Retry-After` is honoured up to 30 s. Set `CLIENT_RETRIES=0` to disable it."
        " The total"
        " time limit is 60 s and includes the waits.",
        "How often is a request retried?",
        (
            "A request is attempted at most three times altogether: once, plus two retries [1].",
            "The client waits half a second before the first retry and two seconds before the second [1].",
            "It retries four status codes: 429, 502, 503, and 504 [1].",
            "To turn retries off, set the environment variable `CLIENT_RETRIES` to `0` [1].",
            "Everything together may take no longer than one minute [1].",
            "The waits sum up to 2.5 seconds [1].",
            "Client errors such as a wrong password are not retried, because only overload and gateway errors are [1].",
            "If the server sends a Retry-After header, the client obeys it, for at most half a minute [1].",
        ),
        (
            "Only the statuses 408, 502 and 503 are retried [1].",
            "A failed request is repeated up to seven times [1].",
            "The total time limit is 90 s [1].",
            "To turn it off, set `CLIENT_BACKOFF` [1].",
        ),
    ),
    Written(
        "Sourdough rye. Makes 2 loaves. 600 g rye flour, 450 ml water, 12 g salt, 120 g starter. Rest the dough for 12"
        " to 16 hours at 21 °C. Bake at 240 °C for 15 minutes, then at 200 °C for 40 minutes. Let it cool on a rack for"
        " at least 2 hours before you cut it.",
        "How do I bake the rye bread?",
        (
            "You need 0.6 kg of rye flour and 45 cl of water for two loaves [1].",
            "Let the dough rest overnight, between 12 and 16 hours, at room temperature (21 °C) [1].",
            "The total baking time is 55 minutes [1].",
            "Bake hot at 240°C for a quarter of an hour, and then lower the oven to 200°C [1].",
            "Each loaf contains 300 g of flour, so the total of 600 g is divided by two [1].",
            "Ingredients:\n\n- 600 grams of rye flour [1]\n- 450 millilitres of water [1]\n- 12 grams of salt [1]",
            "| ingredient | amount |\n|---|---|\n| starter | 120 g [1] |\n| salt | 12 g [1] |",
        ),
        (
            "You need 800 g of rye flour [1].",
            "Bake at 240 °C for 35 minutes [1].",
            "The recipe is from Borodino [1].",
        ),
    ),
    Written(
        "The North Pier lighthouse was built between 1871 and 1874 by the engineer Ada Brandt. Its lantern stands 38 m"
        " above the sea and was visible for 19 nautical miles. It was automated in 1968. The Harbour Authority of Visby"
        " sold it in 2003 to a foundation, which has since run a museum there. About 12,400 people visit it each year.",
        "Who built the lighthouse?",
        (
            "It was built by Brandt, an engineer, in the early 1870s [1].",
            "Construction lasted three years, from 1871 to 1874 [1].",
            "The light has worked automatically since the late sixties [1].",
            "In the 19th century, Ada Brandt constructed the tower [1].",
            "More than 12,000 visitors come every year [1].",
            "The Visby Harbour Authority sold the lighthouse at the beginning of the 21st century [1].",
            "Museum: run by a foundation since it bought the tower in 2003 [1].",
            "Nearly a century after its completion, 94 years later to be exact, it was automated [1].",
        ),
        (
            "It was built by Carl Lindqvist [1].",
            "It was automated in 1986 [1].",
            "The Harbour Authority of Malmö sold it in 2003 [1].",
            "Its lantern stands 83 m above the sea [1].",
        ),
    ),
    Written(
        "streams.toml\n\n[buffer]\nsize_kb = 64\nflush_ms = 250\n\n[limits]\nmax_clients = 4096\nidle_s = 300\n\nThe"
        " buffer is flushed when it is full or after `flush_ms`. Clients that send nothing for `idle_s` are closed with"
        ' code 4001 ("idle timeout").',
        "When is the buffer flushed?",
        (
            "The buffer holds 65,536 bytes and is flushed after a quarter of a second at the latest [1].",
            "Up to 4,096 clients can connect at the same time [1].",
            "Idle clients are disconnected after 5 minutes with the code 4001 [1].",
            'They see the message "idle timeout" [1].',
            "Set it in the `[buffer]` section:\n\n```toml\n[buffer]\nflush_ms = 100\n```\n\nThe default is 250 [1].",
            "The buffer is flushed in two cases: it is full, or `flush_ms` milliseconds have passed [1].",
        ),
        (
            "Idle clients are disconnected after 15 minutes [1].",
            'They see the message "connection reset by administrator" [1].',
            "Up to 2,048 clients can connect [1].",
        ),
    ),
    Written(
        "Our support team answers Monday to Friday from 8:30 am to 5 pm (CET). Premium customers get a reply within 4"
        " hours, everyone else within two working days. In 2023, 92 % of 18,250 tickets were answered in time, up from"
        " 85 % in 2022.",
        "When does support answer?",
        (
            "Support is available on weekdays between 08:30 and 17:00 CET [1].",
            "Premium customers receive an answer in at most 4 h; others wait up to 48 hours [1].",
            "The share of timely answers rose by 7 percentage points, from 85% to 92% [1].",
            "In 2023 the team handled over 18,000 tickets [1].",
            "More than nine out of ten tickets were answered on time in 2023 [1].",
            "On Saturdays and Sundays there are no answers, since the hours are Monday to Friday only [1].",
        ),
        (
            "Support is available on weekdays from 9:45 to 17:00 [1].",
            "In 2023, 97 % of the tickets were answered in time [1].",
            "Premium customers get a reply within 12 hours [1].",
        ),
    ),
    Written(
        "Python 3.11 is required; 3.13 is supported since version 2.4.0. Install it with `pip install tidewatch` (about"
        " 12 MB). On macOS, Homebrew works as well. The command `tidewatch serve --port 8080` starts the"
        " server. Data is"
        " kept in SQLite under `~/.local/share/tidewatch`.",
        "How do I install it?",
        (
            "You need at least Python 3.11 [1].",
            "Run `pip install tidewatch`, which downloads roughly 12 megabytes [1].",
            "Start it with `tidewatch serve --port 9000` if you prefer another port than 8080 [1].",
            "Mac users can install it through Homebrew [1].",
            "The database is a SQLite file in your home directory [1].",
            "Support for Python 3.13 was added in v2.4.0 [1].",
            "According to the documentation, the API is served over HTTP at port 8080 [1].",
        ),
        (
            "You need at least Python 3.8 [1].",
            "Data is kept in PostgreSQL [1].",
            "Support for Python 3.13 was added in version 2.7.1 [1].",
        ),
    ),
    Written(
        "The committee consists of Prof. Leila Haddad (chair), Dr. Jonas Weiß and Mei-Ling Chen. It met on 5 November"
        " 2019 and on 12 Feb 2020. The World Health Organization sent an observer. From 40 proposals, a quarter were"
        " accepted and 22 were rejected; the others were postponed.",
        "Who is on the committee?",
        (
            "The committee has three members: Leila Haddad, Jonas Weiss and Mei-Ling Chen [1].",
            "Professor Haddad chairs it [1].",
            "It met twice, on November 5, 2019 and on February 12, 2020 [1].",
            "An observer of the WHO took part [1].",
            "Ten proposals were accepted, 25 % of the total [1].",
            "22 of the 40 proposals (55%) were turned down [1].",
            "The remaining 8 proposals were postponed, which is the difference between the 40 and the others [1].",
        ),
        (
            "The chair is Leila Mansour [1].",
            "It met on 5 December 2019 [1].",
            "An observer of UNESCO took part [1].",
            "35 proposals were rejected [1].",
        ),
    ),
    Written(
        "A token is about four characters of English, or three quarters of a word, so a thousand words make about 1,300"
        " tokens. Other languages need two to three times as many. The list has between 30,000 and 250,000 entries. An"
        " emoji takes four bytes in UTF-8.",
        "What is a token?",
        (
            "On average, a token corresponds to 4 characters or 0.75 words of English [1].",
            "A text of 1000 words has roughly 1300 tokens [1].",
            "Text in other languages may take up to 3 times as many tokens [1].",
            "Vocabularies range from 30k to 250k entries [1].",
            "Emojis consist of 4 bytes, so they may be split across several tokens [1].",
            "Tokens are the units that language models read and write, and each covers a few characters [1].",
        ),
        (
            "A token is about nine characters of English [1].",
            "Vocabularies range from 30,000 to 750,000 entries [1].",
            "An emoji takes four bytes in Shift-JIS [1].",
        ),
    ),
)
