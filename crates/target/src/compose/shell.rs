//! Scripts that call Compose: which one there is, in which folder, for which files.

use remote::quote;

use super::container::{FOLDER, FORMAT, PROJECT};
use super::deployment::{Compose, QUERY_TIMEOUT};
use super::program::Program;
use place::{Effect, Error, Place, word};

/// The files that Compose reads where none is named. With one of ours beside them they have to be.
const FOUND: &str = r#"[ -z "${COMPOSE_FILE-}" ] && ! grep -qs '^COMPOSE_FILE=' .env ||
  no 'COMPOSE_FILE names the files of the project: write them into `rollback.compose.files`'
files=
for file in $first $second; do
  if [ -e "$file" ]; then files="-f $file"; break; fi
done
[ -n "$files" ] || no "there is neither of $first $second in $PWD"
for file in compose.override.yaml compose.override.yml docker-compose.override.yml docker-compose.override.yaml; do
  if [ -e "$file" ] && [ "$file" != "$ours" ]; then files="$files -f $file"; break; fi
done"#;

impl Compose<'_> {
    /// What a script prints that only looks.
    pub(super) async fn read(&self, at: &Place, what: &str, text: &str) -> Result<String, Error> {
        let places = self.machines.places;
        places
            .script(at, what, text, Effect::Reads, QUERY_TIMEOUT)
            .await
    }

    /// All of it, of one with variables of its own.
    pub(super) async fn full_output(
        &self,
        at: &Place,
        what: &str,
        text: &str,
        env: &[(String, String)],
    ) -> Result<String, Error> {
        let places = self.machines.places;
        places
            .full_output(at, what, text, env, Effect::Reads, QUERY_TIMEOUT)
            .await
    }

    /// What begins every script. `program` is what is known by now; where it is not, the script
    /// finds out and prints it as its first line.
    pub(super) fn head(&self, known: Option<&Program>) -> String {
        let names: Vec<&str> = self.config.env.keys().map(String::as_str).collect();
        let keep = match names.as_slice() {
            [] => String::new(),
            names => format!("--preserve-env={} ", names.join(",")),
        };
        let sudo = if self.config.sudo {
            format!("sudo -n {keep}")
        } else {
            String::new()
        };
        let v2 = "program() { docker compose \"$@\"; }
first='compose.yaml compose.yml' second='docker-compose.yml docker-compose.yaml'\n";
        let v1 = format!(
            "program() {{ command {sudo}docker-compose \"$@\" </dev/null; }}
first='docker-compose.yml docker-compose.yaml' second='compose.yml compose.yaml'\n"
        );
        let which = match known {
            Some(program) if program.v2 => v2.to_owned(),
            Some(_) => v1,
            None => format!(
                "if version=$(docker compose version --short 2>/dev/null); then
printf 'v2 %s\\n' \"$version\"
{v2}elif command -v docker-compose >/dev/null; then
echo v1
{v1}else no 'there is neither `docker compose` nor `docker-compose`'; fi\n"
            ),
        };
        // What was begun is gone on with, whatever the folder is called.
        let begun = known.and_then(|program| program.name.as_ref());
        let mut options = match self.config.project.as_ref().or(begun) {
            Some(name) => format!(" -p {}", quote(name)),
            None => String::new(),
        };
        for file in self.env_files(known) {
            options.push_str(&format!(" --env-file {}", quote(&file)));
        }
        // A service of a profile is one of the project; docker-compose 1 takes it where it is named.
        if known.is_some_and(|program| program.v2) {
            options.push_str(" --profile '*'");
        }
        format!(
            "cd -- {folder}
no() {{ printf '%s\\n' \"$*\" >&2; exit 1; }}
docker() {{ command {sudo}docker \"$@\" </dev/null; }}
{which}ours={ours}
{found}
theirs() {{ program{options} {files} \"$@\"; }}
both() {{ program{options} {files} -f \"$ours\" \"$@\"; }}
any() {{ if [ -e \"$ours\" ]; then both \"$@\"; else theirs \"$@\"; fi; }}
",
            folder = word(&self.config.folder),
            ours = word(&self.config.override_file),
            files = self.file_options(),
            found = if self.config.files.is_empty() {
                FOUND
            } else {
                ""
            },
        )
    }

    pub(super) fn env_files(&self, known: Option<&Program>) -> Vec<String> {
        if self.config.env_files.is_empty() {
            return known.map_or_else(Vec::new, |program| program.env_files.clone());
        }
        let own = self.config.env_files.iter();
        own.map(|file| file.display().to_string()).collect()
    }

    /// The project's files as options.
    pub(super) fn file_options(&self) -> String {
        if self.config.files.is_empty() {
            return "$files".to_owned();
        }
        let files = self.config.files.iter();
        let files = files.map(|file| format!("-f {}", word(file)));
        files.collect::<Vec<_>>().join(" ")
    }

    /// The label of the project's containers, where its name is known.
    fn label(&self, known: Option<&Program>) -> Option<String> {
        let begun = known.and_then(|program| program.name.as_ref());
        let name = begun.or(self.config.project.as_ref())?;
        // docker-compose 1 leaves out what it does not like in a name.
        Some(quote(&format!("{PROJECT}={}", plain(name))))
    }

    /// Prints a table of the project's containers for a person. Docker itself does it in a fraction of
    /// the time.
    pub(super) fn table(&self, known: Option<&Program>) -> String {
        match self.label(known) {
            Some(label) => format!("docker ps -a --filter label={label}"),
            None => "any ps -a".to_owned(),
        }
    }

    /// Prints every container of the project, those that do not run too.
    pub(super) fn list(&self, known: Option<&Program>) -> String {
        let by = |label: &str| format!("docker ps -aq --no-trunc --filter label={label}");
        let ids = if let Some(label) = self.label(known) {
            by(&label)
        } else {
            // Where Compose cannot read its files, what it made before tells where that was.
            let first = self.config.files.first();
            let first = first.map_or_else(|| "./x".to_owned(), |file| word(file));
            let made = format!("{FOLDER}=\"$(cd -- \"$(dirname -- {first})\" && pwd)\"");
            format!("any ps -a -q 2>/dev/null || {}", by(&made))
        };
        format!(
            "ids=$({ids})\n[ -z \"$ids\" ] || docker inspect --type container --format {} $ids\n",
            quote(FORMAT)
        )
    }
}

/// A project's name as Compose has it.
pub(super) fn plain(name: &str) -> String {
    let good = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(*c);
    name.to_lowercase().chars().filter(good).collect()
}
