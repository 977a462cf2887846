//! Names by pattern, as a person types them.

/// Whether a name fits a pattern in which `*` is any text and `?` any one byte.
pub fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                // Let the last star take one more byte.
                let Some((at, taken)) = star else {
                    return false;
                };
                star = Some((at, taken + 1));
                (p, n) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn stars_and_question_marks_stand_for_text_and_for_one_byte() {
        for (pattern, name) in [
            ("web-01", "web-01"),
            ("*", ""),
            ("*", "web"),
            ("web-*", "web-"),
            ("w*b*1", "web-b-01"),
            ("web-0?", "web-01"),
        ] {
            assert!(glob(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("", "web"),
            ("web", ""),
            ("web-?", "web-"),
            ("*b", "web-1"),
            ("w", "web"),
        ] {
            assert!(!glob(pattern, name), "{pattern} {name}");
        }
    }
}
