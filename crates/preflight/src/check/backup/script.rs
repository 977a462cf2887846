//! The questions as scripts for `sh`, and what their answers mean: the same here and on a host.

use config::file::BackupProof;
use jiff::SignedDuration;
use remote::quote;

use super::file::{File, Proof};
use model::text::cut;

/// The program that reads a backup is not there.
const NO_PROGRAM: i32 = 127;

/// A pattern as words of a shell: what is a pattern stays one, all else is quoted.
fn pattern(text: &str) -> String {
    let mut words = String::new();
    let mut rest = text;
    if let Some(below) = rest.strip_prefix("~/") {
        words.push_str("\"$HOME\"/");
        rest = below;
    }
    while !rest.is_empty() {
        let literal = rest.find(['*', '?', '[']).unwrap_or(rest.len());
        if literal > 0 {
            words.push_str(&quote(&rest[..literal]));
            rest = &rest[literal..];
            continue;
        }
        let class = rest.strip_prefix('[').and_then(|inner| {
            let end = inner.find(']')?;
            let good = |b: u8| b.is_ascii_alphanumeric() || b"!^-_.".contains(&b);
            (end > 0 && inner[..end].bytes().all(good)).then_some(end + 2)
        });
        match (class, rest.as_bytes()[0]) {
            (Some(end), _) => {
                words.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            (None, b'[') => {
                words.push_str("'['");
                rest = &rest[1..];
            }
            (None, _) => {
                words.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
    }
    words
}

/// Prints the clock, whether the folder can be read, and the two newest files.
pub(super) fn list(file: &str) -> String {
    let fixed = file.find(['*', '?', '[']).map_or(file, |at| &file[..at]);
    let folder = match fixed.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => ".",
    };
    let (folder, words) = (pattern(folder), pattern(file));
    format!(
        "LC_ALL=C; export LC_ALL\n\
         echo \"now $(date +%s)\"\n\
         d={folder}\n\
         if [ ! -d \"$d\" ]; then echo 'folder missing'; exit 0; fi\n\
         if [ ! -r \"$d\" ] || [ ! -x \"$d\" ]; then echo 'folder denied'; exit 0; fi\n\
         command -v stat >/dev/null && command -v xargs >/dev/null || {{ echo 'stat or xargs is not installed' >&2; exit {NO_PROGRAM}; }}\n\
         set -- {words}\n\
         printf '%s\\0' \"$@\" | xargs -0 stat -L -c '%F|%Y %s %n' -- 2>/dev/null |\n\
         sed -n 's/^regular[a-z ]*|/file /p' | grep -v -e '\\.sha256$' -e '\\.sha512$' |\n\
         sort -k2,2nr -k4r | head -n 2\n"
    )
}

/// What [`list`] printed.
#[derive(Debug, PartialEq)]
pub(super) enum Listing {
    Files(Vec<File>),
    NoFolder,
    /// The folder may not be read.
    Denied,
}

/// `None` where the answer is not one.
pub(super) fn read(text: &str) -> Option<Listing> {
    let mut lines = text.lines();
    let now: i64 = lines.next()?.strip_prefix("now ")?.parse().ok()?;
    let mut files = Vec::new();
    for line in lines {
        match line {
            "folder missing" => return Some(Listing::NoFolder),
            "folder denied" => return Some(Listing::Denied),
            _ => {}
        }
        let mut parts = line.strip_prefix("file ")?.splitn(3, ' ');
        let changed: i64 = parts.next()?.parse().ok()?;
        let size = parts.next()?.parse().ok()?;
        files.push(File {
            name: parts.next()?.to_owned(),
            size,
            age: SignedDuration::from_secs(now.saturating_sub(changed)),
        });
    }
    Some(Listing::Files(files))
}

/// Reads one file to its end.
pub(super) fn verify(by: BackupProof, name: &str) -> String {
    // A name that begins with a dash must not be read as an option.
    let name = if name.starts_with('-') {
        format!("./{name}")
    } else {
        name.to_owned()
    };
    let file = quote(&name);
    let needs = |program: &str| {
        format!(
            "command -v {program} >/dev/null || {{ echo '{program} is not installed' >&2; exit {NO_PROGRAM}; }}\n"
        )
    };
    match by {
        BackupProof::Gzip => format!("{}gzip -t -- {file}\n", needs("gzip")),
        BackupProof::Zstd => format!("{}zstd -t -q -- {file}\n", needs("zstd")),
        BackupProof::PgRestore => needs("pg_restore") + &dump::archive::script(&file),
        BackupProof::Checksum => format!(
            "f={file}\n\
             for a in 256 512; do\n\
             \x20 [ -f \"$f.sha$a\" ] || continue\n\
             \x20 want=$(head -c 4096 \"$f.sha$a\" | n=${{f##*/}} awk {awk})\n\
             \x20 got=$(sha${{a}}sum <\"$f\") || exit {NO_PROGRAM}\n\
             \x20 got=${{got%% *}}\n\
             \x20 [ \"$want\" = \"$got\" ] && exit 0\n\
             \x20 echo \"its sha$a is $got, and $f.sha$a has $want\" >&2; exit 1\n\
             done\n\
             echo \"there is neither $f.sha256 nor $f.sha512\" >&2; exit 1\n",
            awk = quote(super::checksum::AWK),
        ),
    }
}

/// What came of [`verify`]: how it ended, what it printed, what it said last.
pub(super) fn proof(by: BackupProof, status: i32, printed: &str, said: &str) -> Proof {
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = cut(&said, 300);
    match status {
        0 if by == BackupProof::PgRestore => dump::archive::Toc::read(printed)
            .fault()
            .map_or(Proof::Intact, Proof::Partial),
        0 => Proof::Intact,
        NO_PROGRAM => Proof::Unknown {
            hint: "install it where the backup lies: `apt-get install gzip zstd postgresql-client`"
                .to_owned(),
            reason: said,
        },
        code if said.is_empty() => Proof::Damaged(format!("exit status {code}")),
        _ => Proof::Damaged(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pattern_is_one_for_the_shell() {
        for (text, words) in [
            ("/var/b/*.dump", "/var/b/*.dump"),
            ("/a b/$(x)*", "'/a b/$(x)'*"),
            ("~/b/?[0-9]", "\"$HOME\"/b/?[0-9]"),
            ("/x[`id`]", "/x'[''`id`]'"),
            ("/x[", "/x'['"),
        ] {
            assert_eq!(pattern(text), words, "{text}");
        }
    }

    #[test]
    fn a_list_is_read_by_the_clock_of_its_place() {
        let file = |name: &str, size, age| File {
            name: name.to_owned(),
            size,
            age: SignedDuration::from_secs(age),
        };
        assert_eq!(
            read("now 100\nfile 40 7 /b/x y\nfile 101 8 /b/z\n"),
            Some(Listing::Files(vec![
                file("/b/x y", 7, 60),
                file("/b/z", 8, -1)
            ]))
        );
        assert_eq!(read("now 100\nfolder missing\n"), Some(Listing::NoFolder));
        assert_eq!(read("now 100\nfolder denied\n"), Some(Listing::Denied));
        for text in ["", "now x\n", "now 1\nfile a b c\n", "now 1\nrubbish\n"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
