//! The text of a script, before it is read as a program.

/// A script whose functions have other arguments than it has: theirs are not known.
pub fn with_own_arguments(text: &str) -> String {
    let mut inside: Option<&str> = None;
    let mut lines = Vec::new();
    for line in text.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let rest = line.trim();
        if inside.is_none()
            && rest.ends_with('{')
            && (rest.contains("()") || rest.starts_with("function "))
        {
            inside = Some(indent);
        } else if rest == "}" && inside == Some(indent) {
            inside = None;
        }
        let mut line = line.to_owned();
        for nth in (1..=9).filter(|_| inside.is_some()) {
            line = line
                .replace(&format!("${nth}"), &format!("$argument_{nth}"))
                .replace(&format!("${{{nth}"), &format!("${{argument_{nth}"));
        }
        lines.push(line);
    }
    lines.join("\n")
}

/// Whether a program's text is read: that of a shell.
pub fn is_shell(interpreter: &str) -> bool {
    matches!(interpreter, "bash" | "sh" | "dash" | "zsh" | "ash")
}

/// A script of PowerShell: it is called, and what it does is not read.
pub fn is_powershell(path: &str) -> bool {
    let name = path.to_ascii_lowercase();
    name.strip_suffix(".ps1")
        .is_some_and(|stem| !stem.is_empty())
}
