//! systemd: what a unit and its link must be before anything can be switched.

/// A part of a script that calls `no WHY`, or `absent WHY` where there is nothing to switch, with the
/// variables `unit` and `link` set.
pub const SWITCHABLE: &str = r#"[ -L "$link" ] || [ ! -e "$link" ] || no "$link is no symbolic link"
[ "$(systemctl show -p LoadState --value -- "$unit")" = loaded ] || absent "there is no unit $unit""#;
