//! docs/guide/hosts.md.

use testkit::Sshd;

use crate::docs::walk::{Walk, World, lines};

pub(crate) fn page() {
    let mut walk = Walk::of("docs/guide/hosts.md");
    let mut world = World::new();
    world.write(".github/workflows/.keep", "");
    let sshd = Sshd::start();
    let port = sshd.port().to_string();
    let config = format!(
        "version: 1\nhosts:\n  web-01: {{ address: 127.0.0.1, port: {port}, user: {}, key-env: KEY, known-hosts: .github/known_hosts }}\n\
         preflight: {{ hosts: [{{ host: web-01 }}] }}\n",
        sshd.user()
    );
    world.write("deploy-guard.yml", &config);
    world.set("KEY", &sshd.private_key());
    world.sh("preflight --only hosts").code(4);

    let known = lines(&walk.next("ssh-keyscan 10.0.0.11"));
    let [scan, show] = known.as_slice() else {
        panic!("{known:?}");
    };
    let scan = scan.replace("10.0.0.11", &format!("-p {port} 127.0.0.1"));
    world.sh(&scan).code(0);
    let own = format!("ssh-keygen -lf {}/host.pub", sshd.folder().display());
    let own = world.sh(&own).code(0).out;
    world.sh(show).code(0).says(own.split(' ').nth(1).unwrap());
    world
        .sh("preflight --only hosts")
        .code(0)
        .says("hosts/web-01/login");

    world.write("hosts.json", &walk.next("[\"web-01\", ").text);
    world.write(
        "deploy-guard.yml",
        "version: 1\nhosts-from: { file: hosts.json }\npreflight: { hosts: [{ host: web }] }\n",
    );
    world.sh("preflight list").code(0).says("web-02");
    walk.end();
}
