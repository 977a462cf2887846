//! Whether two servers are two sides, and which of them is blue.

/// A server of a router, and all that its line says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server<'t> {
    pub(crate) name: &'t str,
    pub(crate) line: &'t str,
    /// It gets no request until a person or a script enables it.
    pub(crate) waits: bool,
    pub(crate) weight: u32,
}

/// The names of the side that is new, and of the one beside it.
const NAMES: [(&str, &str); 4] = [
    ("green", "blue"),
    ("canary", "stable"),
    ("canary", "primary"),
    ("canary", "live"),
];

/// Blue and green, where something says that these are sides; `around` is the text that has them.
pub(crate) fn sides<'t>(servers: &[Server<'t>], around: &str) -> Option<(&'t str, &'t str)> {
    let [one, other] = servers else { return None };
    let says = |server: &Server<'_>, word: &str| server.line.to_ascii_lowercase().contains(word);
    for (new, old) in NAMES {
        for (blue, green) in [(one, other), (other, one)] {
            if says(green, new) && !says(blue, new) && (says(blue, old) || !says(green, old)) {
                return Some((blue.name, green.name));
            }
        }
    }
    let around = around.to_ascii_lowercase();
    let is_named = NAMES
        .iter()
        .any(|(new, old)| around.contains(new) && around.contains(old));
    let is_marked = one.waits != other.waits || one.weight != other.weight;
    (is_named || is_marked).then_some((one.name, other.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server<'t>(name: &'t str, line: &'t str) -> Server<'t> {
        Server {
            name,
            line,
            waits: false,
            weight: 1,
        }
    }

    #[test]
    fn a_pool_is_not_two_sides() {
        let pool = [server("a:1", "server a:1;"), server("b:1", "server b:1;")];
        assert_eq!(sides(&pool, "upstream web {"), None);
        assert_eq!(sides(&pool, "# blue and green"), Some(("a:1", "b:1")));
        let mut marked = pool;
        marked[0].waits = true;
        assert_eq!(sides(&marked, ""), Some(("a:1", "b:1")));
        assert_eq!(sides(&[pool[0]; 1], "blue green"), None);
        assert_eq!(sides(&[pool[0]; 3], "blue green"), None);
    }

    #[test]
    fn names_say_which_one_is_blue() {
        for (first, second, blue) in [
            ("web-green:80", "web-blue:80", "web-blue:80"),
            ("web-blue:80", "web-green:80", "web-blue:80"),
            ("canary:80", "stable:80", "stable:80"),
            ("app:80", "app-canary:80", "app:80"),
        ] {
            let two = [server(first, first), server(second, second)];
            assert_eq!(sides(&two, "").map(|(blue, _)| blue), Some(blue), "{first}");
        }
    }
}
