//! Reads an inventory in whichever form it comes.

use std::path::Path;
use std::sync::Arc;

use crate::error::Error;
use crate::host::Host;
use crate::inventory::Inventory;
use crate::source::HostDefaults;
use crate::{ansible, list};

/// An inventory is at most so large, in MiB.
pub const MAX_MIB: u64 = 64;

impl Inventory {
    /// Reads what a file has or a program prints. `home` is what `~` means.
    pub fn read(
        text: &[u8],
        defaults: &HostDefaults,
        home: Option<&Path>,
    ) -> Result<Inventory, Error> {
        if text.len() as u64 > MAX_MIB << 20 {
            return Err(Error::Large(MAX_MIB));
        }
        let begin = text.iter().find(|byte| !byte.is_ascii_whitespace());
        let mut inventory = match begin {
            Some(b'{') => ansible::read(text, home)?,
            _ => list::read(&String::from_utf8_lossy(text))?,
        };
        if inventory.hosts.is_empty() {
            return Err(Error::Empty);
        }
        for (name, host) in &mut inventory.hosts {
            defaults.fill(name, host);
            host.jump_host = host.jump_host.take().map(|jump| filled(&jump, defaults));
        }
        Ok(inventory)
    }
}

/// A way that an inventory tells has what it does not tell from the defaults, too.
fn filled(jump: &Host, defaults: &HostDefaults) -> Arc<Host> {
    let mut jump = jump.clone();
    jump.jump_host = jump.jump_host.take().map(|next| filled(&next, defaults));
    let defaults = HostDefaults {
        port: None,
        jump: None,
        ..defaults.clone()
    };
    defaults.fill("", &mut jump);
    Arc::new(jump)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::inventory::MAX_HOSTS;

    fn read(text: &str) -> Result<Inventory, Error> {
        let defaults = HostDefaults {
            user: Some("deploy".to_owned()),
            key_env: Some("KEY".to_owned()),
            ..HostDefaults::default()
        };
        Inventory::read(text.as_bytes(), &defaults, Some(Path::new("/home/me")))
    }

    fn fails(text: &str) -> String {
        let error = read(text).unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("hunter2"),
            "{error:?}"
        );
        error.to_string()
    }

    #[test]
    fn what_ansible_lists_is_hosts_and_groups() {
        let inventory = read(
            r#"{
              "_meta": {"hostvars": {
                "web-01": {"ansible_host": "10.0.0.11", "ansible_port": "2222", "ansible_user": "web",
                           "ansible_ssh_private_key_file": "~/.ssh/web", "db_password": "hunter2"},
                "web-02": {"ansible_ssh_host": "10.0.0.12", "ansible_port": 22,
                           "ansible_ssh_common_args": "-o ProxyJump=bastion -o StrictHostKeyChecking=no"},
                "db-01": {"ansible_ssh_common_args": "-o ProxyCommand=\"ssh -W %h:%p -p 2200 me@edge.test\""},
                "bastion": {"facts": [1, {"deep": true}]},
                "localhost": {"ansible_connection": "local"}
              }},
              "all": {"children": ["ungrouped", "production"]},
              "production": {"children": ["web", "db"]},
              "web": {"hosts": ["web-01", "web-02"]},
              "db": {"hosts": ["db-01"]},
              "ungrouped": {"hosts": ["bastion", "localhost"]}
            }"#,
        )
        .unwrap();
        let host = |name: &str| &inventory.hosts[name];
        assert_eq!(inventory.hosts.len(), 4);
        let web = host("web-01");
        assert_eq!(web.subject(), "web@10.0.0.11:2222");
        assert_eq!(
            (&web.key_env, web.key_file.as_deref()),
            (&None, Some(Path::new("/home/me/.ssh/web")))
        );
        assert_eq!(host("web-02").subject(), "deploy@10.0.0.12:22");
        assert_eq!(host("web-02").jump.as_deref(), Some("bastion"));
        assert_eq!(host("web-02").key_env.as_deref(), Some("KEY"));
        let edge = host("db-01").jump_host.clone().unwrap();
        assert_eq!(
            (edge.subject().as_str(), edge.key_env.as_deref()),
            ("me@edge.test:2200", Some("KEY"))
        );
        let groups: Vec<_> = inventory
            .groups
            .iter()
            .map(|(name, all)| (name.as_str(), all.len()))
            .collect();
        assert_eq!(
            groups,
            [("db", 1), ("production", 3), ("ungrouped", 1), ("web", 2)]
        );
    }

    #[test]
    fn a_script_without_hostvars_has_the_variables_of_groups_the_smaller_over_the_larger() {
        let inventory = read(
            r#"{"all": {"vars": {"ansible_user": "all", "ansible_port": 1}, "children": ["web"]},
                "web": {"hosts": ["a", "b"], "vars": {"ansible_user": "web"}}, "old": ["b", "c"]}"#,
        )
        .unwrap();
        assert_eq!(inventory.hosts["a"].subject(), "web@a:1");
        assert_eq!(inventory.hosts["c"].subject(), "deploy@c:22");
        assert_eq!(inventory.groups["old"].len(), 2);
    }

    #[test]
    fn a_list_has_names_or_hosts() {
        let yaml = "- web-01\n- { name: web-02, address: 10.0.0.2, port: 22, groups: [web, eu], key-file: k }\n";
        let inventory = read(yaml).unwrap();
        assert_eq!(inventory.hosts["web-01"].subject(), "deploy@web-01:22");
        assert_eq!(inventory.hosts["web-02"].key_env, None);
        assert!(inventory.groups["eu"].contains("web-02"));
        let json = r#"[{"name": "web-01", "user": "x"}, "web-02"]"#;
        assert_eq!(read(json).unwrap().hosts["web-01"].subject(), "x@web-01:22");
    }

    #[test]
    fn what_cannot_be_used_is_named_without_a_value() {
        let vars = |vars: &str| {
            fails(&format!(
                r#"{{"_meta": {{"hostvars": {{"web": {{{vars}}}}}}}}}"#
            ))
        };
        for (text, error) in [
            (
                r#""ansible_port": "hunter2""#,
                "`ansible_port` of the host `web` is not a port",
            ),
            (
                r#""ansible_host": "{{ hunter2 }}""#,
                "`ansible_host` of the host `web` is a template, which only Ansible fills in",
            ),
            (
                r#""ansible_user": {"__ansible_vault": "hunter2"}"#,
                "`ansible_user` of the host `web` is not a text",
            ),
            (
                r#""ansible_ssh_common_args": "-o ProxyCommand='nc -X connect hunter2 %h %p'""#,
                "`ansible_ssh_common_args` of the host `web` has a way through another host that is not understood",
            ),
        ] {
            assert_eq!(vars(text), error);
        }
        assert_eq!(
            fails("{\n\"a\": hunter2}"),
            "the inventory is not JSON: line 2, column 6"
        );
        assert_eq!(fails("{}"), "the inventory has no host");
        assert_eq!(fails(""), "the list of hosts, line 1: expected a list");
        assert_eq!(
            fails("- a\n- { name: b, adress: x }\n"),
            "the list of hosts, line 2: unknown key `adress`"
        );
        assert_eq!(fails("[a, a]"), "the host `a` is listed twice");
        assert_eq!(
            fails("['-oProxyCommand=x']"),
            "the inventory has a host whose name cannot be used"
        );
        assert_eq!(
            fails("[{ name: a, groups: ['*'] }]"),
            "the inventory has a group whose name cannot be used"
        );
        let circle = r#"{"a": {"children": ["b"]}, "b": {"children": ["a"], "hosts": ["x"]}}"#;
        assert_eq!(read(circle).unwrap().groups["a"].len(), 1);
    }

    #[test]
    fn five_thousand_hosts_are_read_in_either_form() {
        let list: Vec<String> = (0..5000)
            .map(|n| format!(r#"{{"name": "web-{n}", "address": "10.0.{}.{}", "port": 22, "user": "a", "groups": ["web"], "key-env": "K", "known-hosts": "k"}}"#, n / 250, n % 250))
            .collect();
        assert_eq!(
            read(&format!("[{}]", list.join(","))).unwrap().hosts.len(),
            5000
        );
        let vars: Vec<String> = (0..5000)
            .map(|n| format!(r#""web-{n}": {{"ansible_host": "10.0.0.1", "x": [1, 2]}}"#))
            .collect();
        let names: Vec<String> = (0..5000).map(|n| format!(r#""web-{n}""#)).collect();
        let text = format!(
            r#"{{"_meta": {{"hostvars": {{{}}}}}, "web": {{"hosts": [{}]}}}}"#,
            vars.join(","),
            names.join(",")
        );
        assert_eq!(read(&text).unwrap().groups["web"].len(), 5000);
        let many: Vec<String> = (0..=MAX_HOSTS).map(|n| n.to_string()).collect();
        assert_eq!(
            fails(&format!("[{}]", many.join(","))),
            "the inventory has more than 50000 hosts"
        );
    }
}
