//! Which Compose a machine has.

/// Which Compose a machine has, and what it has made there.
#[derive(Clone, Debug, Default)]
pub(super) struct Program {
    pub(super) v2: bool,
    /// `2.26.1`; empty for docker-compose 1, whose start is slow: it is asked where it is needed.
    pub(super) version: String,
    /// The project's name, once its containers reported it.
    pub(super) name: Option<String>,
    /// The files that its variables come from.
    pub(super) env_files: Vec<String>,
}

impl Program {
    /// What the first script prints of it.
    pub(super) fn read(line: &str) -> Program {
        let (kind, version) = line.split_once(' ').unwrap_or_default();
        let number = |c: char| c.is_ascii_digit() || c == '.';
        let version = version.trim().trim_start_matches('v');
        Program {
            v2: kind == "v2",
            version: version.chars().take_while(|c| number(*c)).collect(),
            ..Program::default()
        }
    }
}
