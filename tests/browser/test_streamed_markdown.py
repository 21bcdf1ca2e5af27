"""Streamed Markdown has the same HTML as Markdown rendered as a whole, at linear cost."""

import json
import random
from collections.abc import Iterator
from html import unescape

import pytest

from streamrag_cli.answer.citations import cited_numbers
from tests.support.chromium import Browser, Page
from tests.support.markdown_documents import specification_examples
from tests.support.static_site import static_site

ANSWER = """# Fees

A berth is let for **24 hours** [1],
and [2][1] agree; but `x[3]` and [4](https://harbour.example/) do not.

- tight
- items
  1. nested

     with a paragraph
  2. and another

- now loose
***
3. three
4. four
---x lazily continues
* other marker

| a | b |
|---|:-:|
| 1 | 2 |
```python
fee = 18

- no list
```
> quoted
lazily
"""
STREAMED = """(async () => {
  const { StreamedMarkdown } = await import("/static/page/streamed-markdown.js");
  const inFrames = (work) => { // `work` gets a function that runs the requested frames; no time passes
    const { requestAnimationFrame } = window;
    const { now } = performance;
    const requested = [];
    window.requestAnimationFrame = (callback) => requested.push(callback);
    performance.now = () => 0;
    try {
      return work(() => { for (const callback of requested.splice(0)) callback(); });
    } finally {
      Object.assign(window, { requestAnimationFrame });
      Object.assign(performance, { now });
    }
  };
  const render = (pieces) => inFrames((nextFrame) => {
    const root = document.createElement("div");
    const markdown = new StreamedMarkdown(root, () => {});
    for (const piece of pieces) {
      markdown.append(piece);
      nextFrame();
    }
    markdown.finish();
    return root.innerHTML.replaceAll(/\\n+(?=<|$)/g, ""); // invisible line breaks between blocks
  });
  return %s;
})()"""


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    with static_site() as url, browser.page() as page:
        page.goto(url)
        yield page


def differing(page: Page, texts: list[list[str]]) -> list[object]:
    """The texts whose streamed HTML differs from the HTML of one render."""
    expression = f"""{json.dumps(texts)}.map((pieces) => [pieces.join(""), render(pieces), render([pieces.join("")])])
        .filter(([_, streamed, whole]) => streamed !== whole)"""
    return list(page.value(STREAMED % expression))


def test_streaming_by_character_produces_the_same_html_as_one_render(page: Page) -> None:
    assert differing(page, [[*ANSWER], [*reversed(ANSWER)]]) == []


def test_every_specification_example_streams_to_the_same_html(page: Page) -> None:
    examples = specification_examples()
    assert len(examples) > 600

    assert differing(page, [[*example] for example in examples]) == []


def test_random_pieces_of_mixed_examples_stream_to_the_same_html(page: Page) -> None:
    chance = random.Random(7)
    texts = []
    for _ in range(150):
        text = chance.choice(["", "\n"]).join(chance.choices(specification_examples(), k=4))
        cuts = sorted(chance.choices(range(len(text) + 1), k=12))
        texts.append([text[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)])

    assert differing(page, texts) == []


@pytest.mark.parametrize(
    "block", ["A paragraph of **some** words.\n\n", "- an item\n", "1. an item\n\n   in two paragraphs\n\n"]
)
def test_the_number_of_rendered_nodes_is_linear_in_the_text_length(block: str, page: Page) -> None:
    script = """[100, 200].map((count) => inFrames((nextFrame) => {
      const root = document.createElement("div");
      let nodes = 0;
      const markdown = new StreamedMarkdown(root, (fragment) => { nodes += fragment.querySelectorAll("*").length; });
      for (let n = 0; n < count; n += 1) {
        markdown.append(%s);
        nextFrame();
      }
      return nodes;
    }))"""
    short, long = page.value(STREAMED % (script % json.dumps(block)))

    assert long == pytest.approx(2 * short, rel=0.02)


def test_a_burst_of_tokens_is_rendered_once_per_frame(page: Page) -> None:
    renders = page.value(
        STREAMED
        % """await (async () => {
          let renders = 0;
          const markdown = new StreamedMarkdown(document.createElement("div"), () => { renders += 1; });
          for (let n = 0; n < 1000; n += 1) markdown.append("word ");
          await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
          return renders;
        })()"""
    )

    assert renders == 1


def test_finished_blocks_keep_their_dom_nodes(page: Page) -> None:
    are_kept = page.value(
        STREAMED
        % """inFrames((nextFrame) => {
          const root = document.createElement("div");
          const markdown = new StreamedMarkdown(root, () => {});
          const first = () => root.querySelector("li");
          const show = (text) => { markdown.append(text); nextFrame(); return first(); };
          show("1. one\\n2. two\\n");
          const item = first();
          const isKept = ["3. three\\n", "\\nA paragraph.\\n\\n# A heading"].map((text) => show(text) === item);
          return [...isKept, root.children.length];
        })"""
    )

    assert are_kept == [True, True, 3]


def test_the_page_and_the_server_parse_citations_alike(page: Page) -> None:
    texts = [
        "Both do [2][1]. So `x[3]` does not, nor [4](https://a.example), but [1, 5] do.",
        "[1]: a definition? [2] , [ 3 ; 4 ] and x[5] or \\[6] [7]: [8]\n\n```\n[9]\n```\n[0] [1234] [12]",
        "**[1]** *[2]* (see [3]). [3][4], [5, 6][7] é[8] 9[1] _[2]",
    ]
    html = page.value(STREAMED % f"{json.dumps(texts)}.map((text) => render([text]))")
    numbers = [
        list(
            dict.fromkeys(
                int(n) for group in _between(each, '<span class="citation">', "</span>") for n in group.split(",")
            )
        )
        for each in html
    ]

    assert numbers == [cited_numbers(text) for text in texts]


def _between(html: str, start: str, end: str) -> list[str]:
    return [unescape(part.partition(end)[0]) for part in html.split(start)[1:]]
