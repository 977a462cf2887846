//! Texts that someone else chose: names of releases, commit messages, lines of logs, names of hosts and people.

/// What each of them tries, and the text.
pub const HOSTILE: &[(&str, &str)] = &[
    (
        "everyone in a channel",
        "@channel @here @everyone @all @team",
    ),
    (
        "everyone by Slack's markup",
        "<!channel> <!here> <!everyone> <!subteam^S012345>",
    ),
    (
        "a person by Slack's markup",
        "<@U012345> <#C012345> <!date^0^{date}^https://evil.example|now>",
    ),
    (
        "a person on GitHub",
        "@octocat, (@octocat) -@octocat é@octocat @acme/admins",
    ),
    ("a mention in Teams", "<at>everyone</at>"),
    (
        "a mention with something invisible",
        "@\u{200b}channel \u{2060}@here @\u{ad}everyone",
    ),
    (
        "a link in Slack",
        "<http://evil.example|click> <mailto:a@evil.example|mail>",
    ),
    (
        "a link in Markdown",
        "[x](http://evil.example) [x]: http://evil.example [x][x] <http://evil.example>",
    ),
    (
        "a link without markup",
        "http://evil.example https://evil.example/a?b#c www.evil.example ftp://evil.example",
    ),
    (
        "a picture",
        "![p](http://evil.example/p.png) <img src=http://evil.example/p.png>",
    ),
    (
        "a script",
        "<script>alert(1)</script><svg onload=alert(1)> javascript:alert(1) \"><script>",
    ),
    (
        "an end of HTML",
        "</details></td></table></pre></style></title><h1>x</h1> --> ]]> &lt;b&gt;",
    ),
    (
        "a comment of HTML",
        "<!-- deploy-guard incident 0 --> <!-- deploy-guard report inc0 -->",
    ),
    ("a heading", "# heading\n## heading\n===\nx\n---\n"),
    ("a list", "- item\n* item\n+ item\n1. item\n- [x] task"),
    ("an item alone", "- item"),
    ("a number alone", "7. item"),
    ("a line across", "---"),
    (
        "a quotation and code",
        "> quoted\n```\ncode\n```\n    code\n~~~\n`x` ``y``",
    ),
    ("emphasis", "*bold* _em_ **strong** ~~struck~~ ~x~ __y__"),
    ("a table", "| a | b |\n| --- | --- |\n| c |"),
    ("a formula and a footnote", "$x$ $$y$$ [^1] [^1]: note"),
    ("a diagram", "```mermaid\ngraph TD; A-->B\n```"),
    (
        "a header of e-mail",
        "x\r\nBcc: evil@evil.example\r\n\r\nbody\n.\r\nMAIL FROM:<a@b>",
    ),
    (
        "a command of the runner",
        "::error::x\n::add-mask::v2\n##[error]x ##[group]y\n::set-output name=a::b",
    ),
    (
        "JSON",
        "\"}], \"text\": \"owned\", \"x\": [{\"y\": \"\\u003c!channel>",
    ),
    (
        "a template",
        "{{ service }} {% raw %} {# x #} ${SECRET} $(touch pwned) `touch pwned`",
    ),
    (
        "codes of a terminal",
        "\u{1b}[31mred\u{1b}[0m \u{1b}]8;;http://evil.example\u{7}x \u{9b}2J \u{8}\u{7f}",
    ),
    (
        "text that is turned round",
        "\u{202e}txt.exe\u{202c} \u{2066}a\u{2069} \u{200f}b \u{61c}c",
    ),
    (
        "text that hides",
        "v1\u{200b}.\u{200d}2\u{feff} \u{e0041}\u{e0042} \u{3164}x\u{115f} a\u{34f}b",
    ),
    (
        "line breaks of other kinds",
        "a\rb\u{b}c\u{c}d\u{85}e\u{2028}f\u{2029}g\0h",
    ),
    ("emoji by name", ":tada: :skull_and_crossbones: :octocat:"),
    (
        "a character of many parts",
        "e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301} Z\u{334}\u{335}\u{336}",
    ),
];
