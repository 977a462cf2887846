//! nginx: `split_clients`, by which a user stays on one side.

use serde_json::json;
use testkit::{Nginx, Shop};

use crate::bed::{Bed, green, read};

struct World {
    blue: Shop,
    green: Shop,
    nginx: Nginx,
}

impl World {
    /// Blue runs v1 and has all users; green runs v2.
    fn new(key: &str) -> World {
        let (blue, green) = (Shop::start("v1"), Shop::start("v2"));
        let nginx = Nginx::serving(
            "access_log off;
    server {
        listen ADDRESS:PORT;
        location / { return 204; }
    }",
        );
        // Without the block it would not start with its variable.
        let file = nginx.folder().join("nginx.conf");
        let text = read(&file).replace("return 204;", "proxy_pass http://$up;");
        std::fs::write(file, text).unwrap();
        let world = World { blue, green, nginx };
        world.nginx.read(&world.text(key, ""));
        world
    }

    fn text(&self, key: &str, part: &str) -> String {
        format!(
            "split_clients {key} $up {{\n    {part}* {};\n}}\n",
            self.blue.address()
        )
    }

    fn bed(&self, key: &str) -> Bed {
        Bed::new(&json!({"nginx": {
            "upstream-file": self.nginx.upstream_file(),
            "sticky": key,
            "blue": self.blue.address(),
            "green": self.green.address(),
            "release": {"url": self.nginx.url("/api/v1/version"), "jq": ".version"},
            "test": self.nginx.test_command(),
            "reload": self.nginx.reload_command(),
        }}))
    }

    /// Whether a user with this cookie is on green.
    fn is_on_green(&self, user: usize) -> bool {
        let cookie = format!("id=user-{user}");
        let url = self.nginx.url("/");
        let answer = testkit::request("GET", &url, &[("Cookie", &cookie)], b"").unwrap();
        answer.header("x-version") == Some("v2")
    }

    fn on_green(&self) -> Vec<bool> {
        (0..200).map(|user| self.is_on_green(user)).collect()
    }
}

/// Beyond what workers of before may answer.
fn settle() {
    std::thread::sleep(std::time::Duration::from_millis(500));
}

#[test]
fn a_user_stays_on_a_side_and_we_ask_as_another_one_each_time() {
    let world = World::new("$cookie_id");
    let bed = world.bed("$cookie_id");
    let used = bed.router();
    assert!(used.router.capabilities().can_sample);
    assert_eq!(used.configured(), green("0%"));
    let none = read(&world.nginx.upstream_file());
    used.set("20%");
    settle();
    let twenty = world.on_green();
    // 200 users at 20 %: outside of this once in ten thousand sets of users.
    let count = twenty.iter().filter(|on_green| **on_green).count();
    assert!((19..=62).contains(&count), "{count} of 200");
    assert_eq!(world.on_green(), twenty, "each stays");
    // 300 who are new to it: the same once in ten million.
    let asked = used.ask(300);
    assert!((25..=102).contains(&asked), "{asked} of 300");
    used.set("50%");
    settle();
    let fifty = world.on_green();
    let lost = twenty
        .iter()
        .zip(&fifty)
        .filter(|(one, other)| **one && !**other);
    assert_eq!(
        lost.count(),
        0,
        "who was on the side that grows stays there"
    );
    assert!(fifty.iter().filter(|on_green| **on_green).count() > count);
    used.set("0%");
    settle();
    assert_eq!(read(&world.nginx.upstream_file()), none);
    assert_eq!(used.ask(40), 0);
    used.set("100%");
    settle();
    assert_eq!(used.ask(40), 40);
    assert_eq!(used.configured(), green("100%"));
}

#[test]
fn a_header_and_an_argument_are_another_users_too() {
    for key in ["$http_x_user", "$arg_user"] {
        let world = World::new(key);
        let bed = world.bed(key);
        let used = bed.router();
        used.set("50%");
        settle();
        let asked = used.ask(100);
        assert!((20..=80).contains(&asked), "{key}: {asked} of 100");
    }
}

#[test]
fn by_an_address_all_that_we_ask_is_one_user_and_it_says_so() {
    let world = World::new("$remote_addr");
    let bed = world.bed("$remote_addr");
    let used = bed.router();
    assert!(!used.router.capabilities().can_sample);
    used.set("50%");
    settle();
    let asked = used.ask(40);
    assert!(asked == 0 || asked == 40, "{asked} of 40");
    let bed = world.bed("$cookie_id");
    let why = bed.router().check_fails("10%");
    assert!(why.contains("it has one by `$remote_addr`"), "{why}");
}
