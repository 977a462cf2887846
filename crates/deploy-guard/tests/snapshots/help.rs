//! `-h` and `--help` of every command.

use crate::snapshots::Folder;

#[test]
fn the_help_of_every_command() {
    let folder = Folder::new(&[]);
    let mut commands = vec![(Vec::new(), deploy_guard::command())];
    while let Some((path, command)) = commands.pop() {
        let mut words = vec!["deploy-guard".to_owned()];
        words.extend(path.clone());
        let words = words.join(" ");
        let short = folder.shown(&format!("{words} -h"));
        let long = folder.shown(&format!("{words} --help"));
        let name = format!("help {words}").replace([' ', '-'], "_");
        insta::assert_snapshot!(name, format!("{short}\n\n=== --help\n{long}"));
        let subs = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        let subs = subs.filter(|sub| sub.get_name() != "help");
        commands.extend(subs.map(|sub| {
            let path = [&path[..], &[sub.get_name().to_owned()]].concat();
            (path, sub.clone())
        }));
    }
}
