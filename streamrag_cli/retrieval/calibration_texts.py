"""Questions on unrelated topics, each with a passage that answers it."""

from typing import Final

PAIRS: Final = (
    (
        "How long does the dough have to rise?",
        "Cover the bowl with a cloth and let the dough rise in a warm place for about two hours, until it has "
        "doubled in size. In a cold kitchen this takes longer. Then shape the loaf, score it and bake it until the "
        "crust is brown.",
    ),
    (
        "Which port does the database listen on?",
        "By default the database server listens on port 5432 of the local interface only. Set listen_addresses in "
        "the configuration file to accept connections from other hosts, and restart the service afterwards.",
    ),
    (
        "When was the stone bridge over the river finished?",
        "Work on the stone bridge began in 1352, after a flood had carried away the wooden one. It took two "
        "generations of masons to finish it in 1407. Its sixteen arches cross the river below the castle.",
    ),
    (
        "What are the side effects of the tablets?",
        "Common side effects of these tablets are headache, nausea and a dry mouth, which usually pass within a "
        "week. See a doctor if a rash appears or if breathing becomes difficult. Do not take more than two tablets "
        "a day.",
    ),
    (
        "How much notice must a tenant give before moving out?",
        "The tenant may end the lease with three months' notice in writing, to the end of a calendar month. The "
        "landlord returns the deposit within six weeks after the keys have been handed over, less the cost of any "
        "damage.",
    ),
    (
        "Why do some birds migrate at night?",
        "Many songbirds migrate at night, when the air is cooler and calmer and there are fewer predators. They "
        "find their way by the stars and the magnetic field of the earth, and rest and feed during the day.",
    ),
    (
        "How do I replace the chain of my bicycle?",
        "Shift to the smallest sprocket, open the old chain with a chain tool and pull it out. Thread the new one "
        "through the derailleur, shorten it to the length of the old one and close it with the master link.",
    ),
    (
        "Who won the chess tournament?",
        "After eleven rounds the title went to the youngest player of the field, who beat the favourite in a rook "
        "endgame on the last day. Second place was decided by a tie-break between three grandmasters.",
    ),
    (
        "What is the interest rate of the savings account?",
        "The savings account pays interest at 2.1 % a year on balances up to 50,000, credited every quarter. It is "
        "free of charge, and money can be withdrawn at any time without notice. Rates may change.",
    ),
    (
        "How can I undo the last commit?",
        "To undo the last commit but keep its changes in the working tree, run git reset --soft HEAD~1. If it has "
        "already been pushed, create a new commit that reverts it instead, so that history is not rewritten.",
    ),
    (
        "What causes the northern lights?",
        "Charged particles from the sun follow the lines of the magnetic field towards the poles. Where they hit "
        "oxygen and nitrogen high in the atmosphere, the gases glow green and red: the aurora, or northern lights.",
    ),
    (
        "Are dogs allowed on the train?",
        "Small dogs in a carrier travel free of charge. Larger dogs need a ticket at half the fare, a lead and a "
        "muzzle, and are not allowed in the dining car. Guide dogs are exempt from these rules.",
    ),
    (
        "Which paint is suitable for bathroom walls?",
        "Walls in a bathroom should be painted with a washable latex paint that resists mould and moisture. Let "
        "the plaster dry, apply a primer, and roll on two thin coats. Open the window for a day.",
    ),
    (
        "How many seats does the parliament have?",
        "The parliament has 349 seats, which are distributed in proportion to the votes among all parties above "
        "four per cent. Members are elected for four years. The speaker is chosen at the first sitting.",
    ),
    (
        "When should tomatoes be planted outdoors?",
        "Plant tomatoes outdoors only after the last frost, from the middle of May. They need full sun, a stake "
        "and plenty of water at the root. Pinch out the side shoots every week, and mulch the bed.",
    ),
    (
        "What happened to the singer's second album?",
        "The band recorded its second album in a barn with cheap microphones. The label found it too dark and "
        "delayed the release for a year, but the singer toured with the songs, and it sold a million copies.",
    ),
)
