//! Files of checksums beside a backup: `HASH  name` as `sha256sum` writes it (`*name` in binary, a
//! backslash first where the name is escaped), `SHA256 (name) = HASH` of BSD and OpenSSL, or the
//! hash alone. Of several lines the one that names the backup counts, else the first.

/// The same rule as [`wanted`], for hosts: reads a checksum file, `$n` is the backup's name.
pub(super) const AWK: &str = "{ sub(/\\r$/, \"\"); sub(/^\\\\/, \"\"); file = $0; hash = $1
  if ($0 ~ /^SHA[0-9-]+ ?\\(.*\\) ?= ?[0-9A-Fa-f]+$/) {
    hash = $0; sub(/^.*\\) ?= ?/, \"\", hash); sub(/^[^(]*\\(/, \"\", file); sub(/\\) ?= ?[0-9A-Fa-f]+$/, \"\", file)
  } else sub(/^[^ ]+ [ *]?/, \"\", file)
  sub(/^.*\\//, \"\", file)
  if (NR == 1) first = hash
  if (file == ENVIRON[\"n\"]) { found = hash; exit } }
END { print tolower(found != \"\" ? found : first) }";

/// The hash in a checksum file for the file with this name, in lower case.
pub(super) fn find_hash(text: &str, name: &str) -> String {
    let mut lines = text.lines().map(line);
    let first = lines.next().unwrap_or(("", ""));
    let (hash, _) = std::iter::once(first)
        .chain(lines)
        .find(|(_, file)| file.rsplit('/').next() == Some(name))
        .unwrap_or(first);
    hash.to_ascii_lowercase()
}

fn line(line: &str) -> (&str, &str) {
    let line = line.trim_end_matches('\r');
    let line = line.strip_prefix('\\').unwrap_or(line);
    if let Some((hash, file)) = bsd(line) {
        return (hash, file);
    }
    let line = line.trim_start();
    let (hash, rest) = line.split_once(' ').unwrap_or((line, ""));
    (hash, rest.strip_prefix([' ', '*']).unwrap_or(rest))
}

fn bsd(line: &str) -> Option<(&str, &str)> {
    let (kind, rest) = line.strip_prefix("SHA")?.split_once('(')?;
    let kind = kind.trim_end();
    let (file, hash) = rest.rsplit_once(')')?;
    let hash = hash.trim_start().strip_prefix('=')?.trim();
    let named = kind.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let hexed = !hash.is_empty() && hash.bytes().all(|b| b.is_ascii_hexdigit());
    (named && hexed).then_some((hash, file))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods)]
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    fn by_awk(text: &str, name: &str) -> String {
        let mut awk = Command::new("awk")
            .arg(AWK)
            .env("n", name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        awk.stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        let output = awk.wait_with_output().unwrap();
        String::from_utf8(output.stdout)
            .unwrap()
            .trim_end()
            .to_owned()
    }

    #[test]
    fn checksums_are_read_in_all_their_forms_here_and_by_the_hosts_awk() {
        for (text, hash) in [
            ("AB12  shop.dump\n", "ab12"),
            ("ab12 *shop.dump\n", "ab12"),
            ("ab12", "ab12"),
            ("ab12  /var/b/shop.dump\r\n", "ab12"),
            ("\\ab12  shop.dump\n", "ab12"),
            ("SHA256 (shop.dump) = AB12\n", "ab12"),
            ("SHA512(/var/b/shop.dump)= ab12\n", "ab12"),
            ("SHA2-256(shop.dump)= ab12\n", "ab12"),
            ("SHA256 (a (1).dump) = ab12\n", "ab12"),
            ("ff00  other.dump\nab12  shop.dump\n", "ab12"),
            (
                "SHA256 (other.dump) = ff00\nSHA256 (shop.dump) = ab12\n",
                "ab12",
            ),
            ("", ""),
        ] {
            assert_eq!(find_hash(text, "shop.dump"), hash, "{text}");
            assert_eq!(by_awk(text, "shop.dump"), hash, "awk: {text}");
        }
    }
}
