//! Caddy: the newest, and Debian's.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use model::Env;
use place::{Error, Place};
use router::{Router, Side};
use serde_json::{Value, json};
use testkit::{Caddy, CaddyBuild, Shop, Sshd};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::world::{World, green, refused};

const HERE: Place = Place::Here;

/// Two shops and Caddy before them.
struct Shops {
    blue: Shop,
    green: Shop,
}

impl Shops {
    fn start() -> Shops {
        Shops {
            blue: Shop::start("v1"),
            green: Shop::start("v2"),
        }
    }

    /// A Caddyfile whose `reverse_proxy` has these lines.
    fn caddyfile(&self, lines: &str) -> String {
        let (blue, green) = (self.blue.address(), self.green.address());
        format!(
            "{{\n\tadmin 127.0.0.1:ADMIN\n\tauto_https off\n}}\n\nhttp://127.0.0.1:PORT {{\n\treverse_proxy {blue} {green} {{\n\t\t{lines}\n\t}}\n}}\n"
        )
    }

    /// The same in JSON, with a `reverse_proxy` two levels down that has this policy.
    fn json(&self, policy: &Value) -> String {
        let (blue, green) = (self.blue.address(), self.green.address());
        let proxy = json!({
            "handler": "reverse_proxy",
            "@id": "shop",
            "load_balancing": {"selection_policy": policy},
            "upstreams": [{"dial": blue}, {"dial": green}],
        });
        let text = json!({
            "admin": {"listen": "127.0.0.1:ADMIN"},
            "apps": {"http": {"servers": {"shop": {
                "listen": ["127.0.0.1:PORT"],
                "automatic_https": {"disable": true},
                "routes": [
                    {"handle": [{"handler": "subroute", "routes": [{"handle": [proxy]}]}]},
                ],
            }}}},
        });
        text.to_string()
    }

    fn world(&self, caddy: &Caddy, more: &str) -> World {
        self.world_on(caddy, more, "")
    }

    fn world_on(&self, caddy: &Caddy, more: &str, hosts: &str) -> World {
        let (blue, green) = (self.blue.address(), self.green.address());
        let (admin, url) = (caddy.admin(), caddy.url("/api/v1/version"));
        let section = format!(
            "caddy: {{ admin: '{admin}', blue: '{blue}', green: '{green}', release: {{ url: '{url}', jq: .version }}, {more} }}"
        );
        World::new(&section, hosts, Env::default())
    }
}

/// `config-file: …` of a Caddy's own file.
fn file(caddy: &Caddy) -> String {
    format!("config-file: {}", caddy.file().display())
}

/// How many of so many answers were green's.
async fn greens(router: &dyn Router, of: usize) -> usize {
    let mut greens = 0;
    for _ in 0..of {
        let release = router.sample_release(&HERE, "v2").await.unwrap();
        greens += usize::from(release == "v2");
    }
    greens
}

/// From half and half over 10 %, all and nothing back to half and half, with restarts in between.
async fn ramp(shops: &Shops, caddy: &mut Caddy, key: &str, resumed: bool) {
    let world = shops.world(caddy, key);
    let router = router_of(&world);
    let before = router.snapshot(&HERE).await.unwrap();
    for (share, expected) in [("10%", 4), ("100%", 40), ("0%", 0), ("25%", 10)] {
        let split = green(share);
        let change = router.check(&HERE, split).await.unwrap();
        assert_eq!(change.split, split);
        assert!(!change.writes.is_empty(), "{change:?}");
        for _twice in 0..2 {
            router.set(&HERE, split).await.unwrap();
        }
        let nothing = router.check(&HERE, split).await.unwrap();
        assert!(nothing.writes.is_empty(), "{nothing:?}");
        assert_eq!(greens(&*router, 40).await, expected, "{share}");
        caddy.restart(resumed);
        assert_eq!(router.loaded(&HERE).await.unwrap(), Some(split), "{share}");
        assert_eq!(router.configured(&HERE).await.unwrap(), split, "{share}");
    }
    let told = router.restore(&HERE, &before).await.unwrap();
    assert_eq!(told, "blue 50%, green 50% again");
    caddy.restart(resumed);
    assert_eq!(router.loaded(&HERE).await.unwrap(), Some(green("50%")));
    assert_eq!(greens(&*router, 40).await, 20);
}

fn router_of(world: &World) -> Box<dyn Router + '_> {
    world.router()
}

fn weighted(blue: u32, green: u32) -> Value {
    json!({"policy": "weighted_round_robin", "weights": [blue, green]})
}

#[tokio::test]
async fn weights_in_a_json_file_are_set_served_and_kept() {
    let shops = Shops::start();
    let text = shops.json(&weighted(5, 5));
    let mut caddy = Caddy::start(CaddyBuild::Newest, "caddy.json", &text);
    let key = file(&caddy);
    ramp(&shops, &mut caddy, &key, false).await;
}

#[tokio::test]
async fn weights_in_a_caddyfile_are_set_served_and_kept_and_no_other_byte_changes() {
    let shops = Shops::start();
    let lines = "# green is new\n\t\tlb_policy   weighted_round_robin 1 1 # the shares";
    let text = shops.caddyfile(lines);
    let mut caddy = Caddy::start(CaddyBuild::Newest, "Caddyfile", &text);
    let (key, before) = (file(&caddy), std::fs::read_to_string(caddy.file()).unwrap());
    ramp(&shops, &mut caddy, &key, false).await;
    assert_eq!(std::fs::read_to_string(caddy.file()).unwrap(), before);
}

#[tokio::test]
async fn a_caddy_that_resumes_keeps_the_shares_itself() {
    let shops = Shops::start();
    for build in [CaddyBuild::Newest, CaddyBuild::Debian] {
        let text = shops.caddyfile("lb_policy round_robin");
        let mut caddy = Caddy::start(build, "Caddyfile", &text);
        let before = std::fs::read_to_string(caddy.file()).unwrap();
        let key = format!("autosave: {}", caddy.autosave().display());
        ramp(&shops, &mut caddy, &key, true).await;
        assert_eq!(std::fs::read_to_string(caddy.file()).unwrap(), before);
    }
}

#[tokio::test]
async fn without_weights_an_upstream_is_listed_as_often_as_its_share_asks_for() {
    let shops = Shops::start();
    for build in [CaddyBuild::Newest, CaddyBuild::Debian] {
        let text = shops.json(&json!({"policy": "round_robin"}));
        let mut caddy = Caddy::start(build, "caddy.json", &text);
        let key = file(&caddy);
        ramp(&shops, &mut caddy, &key, false).await;
        let world = shops.world(&caddy, &key);
        let router = world.router();
        let change = router.check(&HERE, green("33.33%")).await.unwrap();
        assert_eq!(change.split, green("33%"));
        router.set(&HERE, change.split).await.unwrap();
        assert_eq!(greens(&*router, 100).await, 33);
    }
}

/// A cookie leads to an upstream that has no weight: so one without a share is not in the list.
#[tokio::test]
async fn users_with_a_cookie_leave_a_side_that_has_nothing() {
    let shops = Shops::start();
    let policy = json!({"policy": "cookie", "name": "lb", "fallback": weighted(1, 1)});
    let text = shops.json(&policy);
    let mut caddy = Caddy::start(CaddyBuild::Newest, "caddy.json", &text);
    let key = file(&caddy);
    let ask = |cookie: &str| {
        let url = caddy.url("/api/v1/version");
        let answer = testkit::request("GET", &url, &[("Cookie", cookie)], b"").unwrap();
        let cookie = answer.header("set-cookie").unwrap_or(cookie).to_owned();
        (answer.header("x-version").unwrap().to_owned(), cookie)
    };
    let (_, cookie) = (0..10)
        .map(|_| ask("a=b"))
        .find(|(at, _)| at == "v2")
        .unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let world = shops.world(&caddy, &key);
    let router = world.router();
    for (share, release) in [("1%", "v2"), ("0%", "v1"), ("100%", "v2")] {
        router.set(&HERE, green(share)).await.unwrap();
        for _ in 0..5 {
            assert_eq!(ask(cookie).0, release, "{share}");
        }
    }
    let change = router.check(&HERE, green("10%")).await.unwrap();
    assert!(
        change.does.ends_with(", for users without its cookie"),
        "{change:?}"
    );
    router.set(&HERE, green("50%")).await.unwrap();
    ramp(&shops, &mut caddy, &key, false).await;
}

#[tokio::test]
async fn a_plan_says_what_is_changed_and_that_websockets_are_cut() {
    let shops = Shops::start();
    let lines = "lb_policy weighted_round_robin 1 0";
    let cuts = shops.caddyfile(lines);
    let waits = shops.caddyfile(&format!("{lines}\n\t\tstream_close_delay 5m"));
    for (text, note) in [
        (
            cuts,
            ", which cuts its WebSockets (it has no `stream_close_delay`)",
        ),
        (waits, ""),
    ] {
        let caddy = Caddy::start(CaddyBuild::Newest, "Caddyfile", &text);
        let (world, path) = (
            shops.world(&caddy, &file(&caddy)),
            "apps/http/servers/srv0/routes/0/handle/0",
        );
        let router = world.router();
        let change = router.check(&HERE, green("10%")).await.unwrap();
        // Caddy makes a subroute of a site with a host.
        let path = format!("{path}/routes/0/handle/0");
        assert_eq!(
            (change.does, change.writes),
            (
                format!("give blue 90%, green 10% in {path}{note}"),
                vec![
                    format!("{path}: blue 100%, green 0% → blue 90%, green 10%"),
                    format!("{}: blue 90%, green 10%", caddy.file().display()),
                ]
            )
        );
        assert_eq!(greens(&*router, 20).await, 0, "nothing was changed");
    }
}

#[tokio::test]
async fn requests_under_way_are_counted_and_end_where_they_began() {
    let shops = Shops::start();
    let text = shops.json(&weighted(0, 1));
    let caddy = Caddy::start(CaddyBuild::Newest, "caddy.json", &text);
    let world = shops.world(&caddy, &file(&caddy));
    let router = world.router();
    shops.green.set_delay(Duration::from_secs(1));
    let change = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        router.set(&HERE, green("0%")).await.unwrap();
        let open = async |side| router.open(&HERE, side).await.unwrap();
        (
            open(Side::Green).await,
            open(Side::Blue).await,
            router.sample_release(&HERE, "v1").await.unwrap(),
        )
    };
    let (old, (green, blue, new)) = tokio::join!(router.sample_release(&HERE, "v2"), change);
    assert_eq!((green, blue), (Some(1), Some(0)));
    assert_eq!((old.unwrap(), new), ("v2".to_owned(), "v1".to_owned()));
    assert_eq!(router.open(&HERE, Side::Green).await.unwrap(), Some(0));
}

#[tokio::test]
async fn a_change_of_another_is_seen_and_never_undone_unseen() {
    let shops = Shops::start();
    let text = shops.json(&weighted(1, 1));
    let caddy = Caddy::start(CaddyBuild::Newest, "caddy.json", &text);
    let world = shops.world(&caddy, &file(&caddy));
    let router = world.router();
    router.set(&HERE, green("10%")).await.unwrap();
    let policy = "/id/shop/load_balancing/selection_policy";
    let answer = caddy.call_admin_api("PATCH", policy, &weighted(1, 3).to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(router.loaded(&HERE).await.unwrap(), Some(green("75%")));
    assert_eq!(router.configured(&HERE).await.unwrap(), green("10%"));

    // Two at the same time: who is second sees what the first one made.
    for _ in 0..20 {
        let (one, other) = tokio::join!(
            router.set(&HERE, green("20%")),
            router.set(&HERE, green("80%"))
        );
        for done in [one, other] {
            if let Err(error) = done {
                assert!(matches!(error, Error::Raced(_)), "{error}");
            }
        }
        let loaded = router.loaded(&HERE).await.unwrap().unwrap();
        assert!([green("20%"), green("80%")].contains(&loaded), "{loaded}");
    }
}

/// In front of a real Caddy: before it passes the first change on, another one is made.
struct First {
    admin: String,
    change: (&'static str, &'static str, String),
    changes: AtomicU32,
}

impl wiremock::Respond for First {
    fn respond(&self, request: &wiremock::Request) -> ResponseTemplate {
        let ask = |method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]| {
            testkit::request(method, &format!("{}{path}", self.admin), headers, body).unwrap()
        };
        let is_change = request.method == "PATCH";
        if is_change && self.changes.fetch_add(1, Ordering::Relaxed) == 0 {
            let (method, path, body) = &self.change;
            let json = [("content-type", "application/json")];
            let answer = ask(method, path, &json, body.as_bytes());
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let passed = ["if-match", "content-type"];
        let headers = passed.into_iter().filter_map(|name| {
            let value = request.headers.get(name)?.to_str().ok()?;
            Some((name, value))
        });
        let headers: Vec<_> = headers.collect();
        let answer = ask(
            request.method.as_str(),
            request.url.path(),
            &headers,
            &request.body,
        );
        let passed = ResponseTemplate::new(answer.status).set_body_bytes(answer.body.clone());
        match answer.header("etag") {
            Some(tag) => passed.insert_header("etag", tag),
            None => passed,
        }
    }
}

/// Another is first between our reading and our writing: what it made of the shares stays, anything else stays beside ours.
#[tokio::test]
async fn a_change_between_reading_and_writing_is_kept_and_only_shares_stop_ours() {
    let policy = "/id/shop/load_balancing/selection_policy";
    for (change, told) in [
        (
            ("PATCH", policy, weighted(1, 3).to_string()),
            "had blue 50%, green 50%, and has blue 25%, green 75%",
        ),
        (
            ("PUT", "/config/apps/http/grace_period", "\"7s\"".to_owned()),
            "",
        ),
        (
            ("PUT", "/id/shop/load_balancing/retries", "2".to_owned()),
            "",
        ),
    ] {
        let shops = Shops::start();
        let caddy = Caddy::start(
            CaddyBuild::Newest,
            "caddy.json",
            &shops.json(&weighted(1, 1)),
        );
        let (method, path, body) = change.clone();
        let first = First {
            admin: caddy.admin(),
            change,
            changes: AtomicU32::new(0),
        };
        let between = MockServer::start().await;
        Mock::given(wiremock::matchers::any())
            .respond_with(first)
            .mount(&between)
            .await;
        let (blue, green_at) = (shops.blue.address(), shops.green.address());
        let section = format!(
            "caddy: {{ admin: '{}', blue: '{blue}', green: '{green_at}', release: {{ url: '{}', jq: .version }}, {} }}",
            between.uri(),
            caddy.url("/api/v1/version"),
            file(&caddy),
        );
        let world = World::new(&section, "", Env::default());
        let router = world.router();
        let set = router.set(&HERE, green("10%")).await;
        let loaded = router.loaded(&HERE).await.unwrap();
        if told.is_empty() {
            set.unwrap();
            assert_eq!(loaded, Some(green("10%")), "{path}");
            let now = caddy.call_admin_api("GET", path, "");
            assert_eq!(now.text().trim(), body, "{method} {path}");
        } else {
            let error = set.unwrap_err();
            assert!(
                error.is_overtaken() && error.to_string().contains(told),
                "{error}"
            );
            assert_eq!(loaded, Some(green("75%")));
        }
    }
}

/// What another made of the shares between our reading and our writing is named, and not tried once more.
#[tokio::test]
async fn one_who_is_first_is_named() {
    let admin = MockServer::start().await;
    let shops = Shops::start();
    for (weights, tag) in [((1, 1), "a"), ((1, 1), "b"), ((9, 1), "c")] {
        let config: Value =
            serde_json::from_str(&shops.json(&weighted(weights.0, weights.1))).unwrap();
        let answer = ResponseTemplate::new(200).set_body_json(config);
        Mock::given(method("GET"))
            .respond_with(answer.insert_header("etag", format!("\"/config/ {tag}\"")))
            .up_to_n_times(1)
            .mount(&admin)
            .await;
    }
    Mock::given(method("PATCH"))
        .respond_with(ResponseTemplate::new(412))
        .expect(1)
        .mount(&admin)
        .await;
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("caddy.json");
    std::fs::write(&kept, shops.json(&weighted(1, 1))).unwrap();
    let (blue, green_at) = (shops.blue.address(), shops.green.address());
    let section = format!(
        "caddy: {{ admin: '{}', blue: '{blue}', green: '{green_at}', config-file: {}, release: {{ url: 'http://127.0.0.1:1/' }} }}",
        admin.uri(),
        kept.display()
    );
    let world = World::new(&section, "", Env::default());
    let error = world.router().set(&HERE, green("50.5%")).await.unwrap_err();
    insta::assert_snapshot!(error, @"Caddy's configuration is changed by another at the same time: apps/http/servers/shop/routes/0/handle/0/routes/0/handle/0 had blue 50%, green 50%, and has blue 90%, green 10%");
    assert_eq!(
        std::fs::read_to_string(&kept).unwrap(),
        shops.json(&weighted(1, 1))
    );
}

#[tokio::test]
async fn what_cannot_be_set_says_why() {
    let shops = Shops::start();
    let (blue, green_at) = (shops.blue.address(), shops.green.address());
    let third = format!("reverse_proxy /x 127.0.0.1:1 {blue}\n\treverse_proxy /y {blue}\n");
    let two = shops.caddyfile("lb_policy weighted_round_robin 1 1");
    let several = two.replace("\treverse_proxy", &format!("\t{third}\treverse_proxy"));
    let shown = |error: Error, caddy: &Caddy| {
        let error = error.to_string();
        let error = error.replace(&blue, "BLUE").replace(&green_at, "GREEN");
        error.replace(&caddy.file().display().to_string(), "FILE")
    };
    let mut said = Vec::new();
    for text in [
        several,
        shops.caddyfile("lb_policy ip_hash"),
        shops.caddyfile("lb_policy round_robin"),
        shops.caddyfile("lb_policy weighted_round_robin 1 {$GREEN_WEIGHT:1}"),
        two.replace(&green_at, "127.0.0.1:1"),
        format!(
            "{}respond hello\n}}\n",
            two.split("reverse_proxy").next().unwrap()
        ),
    ] {
        let caddy = Caddy::start(CaddyBuild::Newest, "Caddyfile", &text);
        let world = shops.world(&caddy, &file(&caddy));
        let router = world.router();
        let checked = router.check(&HERE, green("10%")).await.unwrap_err();
        let set = router.set(&HERE, green("10%")).await.unwrap_err();
        assert_eq!(set.to_string(), checked.to_string());
        said.push(shown(checked, &caddy));
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    several `reverse_proxy` handlers have BLUE or GREEN: apps/http/servers/srv0/routes/0/handle/0/routes/1/handle/0 (BLUE); apps/http/servers/srv0/routes/0/handle/0/routes/2/handle/0 (BLUE, GREEN); name the one with `traffic.caddy.path`
    apps/http/servers/srv0/routes/0/handle/0/routes/0/handle/0 (BLUE, GREEN): the policy `ip_hash` takes no shares; use `lb_policy weighted_round_robin 1 1`, or `random` with Caddy 2.6
    FILE has no line `lb_policy weighted_round_robin …` that gives the two upstreams their shares; write one, or run Caddy with `--resume` and name its `autosave`
    FILE has no line `lb_policy weighted_round_robin …` that gives the two upstreams their shares; write one, or run Caddy with `--resume` and name its `autosave`
    Caddy has no `reverse_proxy` with BLUE and GREEN and no other upstream; it has apps/http/servers/srv0/routes/0/handle/0/routes/0/handle/0 (BLUE, 127.0.0.1:1); let one have these two upstreams, or correct `traffic.caddy`
    Caddy has no `reverse_proxy` with BLUE and GREEN and no other upstream; it has none at all; let one have these two upstreams, or correct `traffic.caddy`
    ");
}

#[tokio::test]
async fn one_of_several_handlers_is_named_by_its_path_or_its_id() {
    let shops = Shops::start();
    let mut config: Value = serde_json::from_str(&shops.json(&weighted(1, 1))).unwrap();
    let list = &mut config["apps"]["http"]["servers"]["shop"]["routes"];
    let mut other = list[0].clone();
    other["match"] = json!([{"path": ["/other"]}]);
    other["handle"][0]["routes"][0]["handle"][0]["@id"] = json!("other");
    list.as_array_mut().unwrap().insert(0, other);
    let caddy = Caddy::start(CaddyBuild::Newest, "caddy.json", &config.to_string());
    let path = "path: apps/http/servers/shop/routes/1/handle/0/routes/0/handle/0";
    for (name, share) in [("id: shop", "10%"), (path, "20%")] {
        let world = shops.world(&caddy, &format!("{}, {name}", file(&caddy)));
        let router = world.router();
        router.set(&HERE, green(share)).await.unwrap();
        assert_eq!(router.configured(&HERE).await.unwrap(), green(share));
    }
    let other = shops.world(&caddy, &format!("{}, id: other", file(&caddy)));
    let untouched = other.router().loaded(&HERE).await.unwrap();
    assert_eq!(untouched, Some(green("50%")));
    let none = shops.world(&caddy, &format!("{}, id: none", file(&caddy)));
    let error = none.router().loaded(&HERE).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("Caddy has no such `reverse_proxy`"),
        "{error}"
    );
}

/// Its admin API listens on the host's loopback address alone, and is reached through the login.
#[tokio::test]
async fn a_caddy_on_a_host_is_asked_and_changed_there() {
    let shops = Shops::start();
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let known_hosts = folder.path().join("known_hosts");
    std::fs::write(&known_hosts, sshd.known_hosts()).unwrap();
    let text = shops.caddyfile("lb_policy weighted_round_robin 1 1");
    let mut caddy = Caddy::start(CaddyBuild::Newest, "Caddyfile", &text);
    let hosts = format!(
        "hosts:\n  web-01: {{ address: 127.0.0.1, port: {}, user: {}, key-file: {}, known-hosts: {} }}\n",
        sshd.port(),
        sshd.user(),
        sshd.key().display(),
        known_hosts.display()
    );
    let more = format!("{}, hosts: all", file(&caddy));
    let world = shops.world_on(&caddy, &more, &hosts);
    let router = world.router();
    let [place] = router.places() else {
        panic!("one host")
    };
    router.set(place, green("100%")).await.unwrap();
    assert_eq!(router.sample_release(place, "v2").await.unwrap(), "v2");
    assert_eq!(
        router.side_release(place, Side::Blue, "v1").await.unwrap(),
        "v1"
    );
    caddy.restart(false);
    assert_eq!(router.loaded(place).await.unwrap(), Some(green("100%")));
    assert_eq!(router.configured(place).await.unwrap(), green("100%"));
}

#[tokio::test]
async fn a_caddy_that_is_down_or_is_none_is_an_error() {
    let shops = Shops::start();
    let text = shops.json(&weighted(1, 1));
    let caddy = Caddy::start(CaddyBuild::Newest, "caddy.json", &text);
    let world = shops.world(&caddy, "autosave: /nowhere/autosave.json");
    let error = world.router().configured(&HERE).await.unwrap_err();
    let missing = "there is no /nowhere/autosave.json: Caddy writes it after a change of its configuration, unless `persist_config` is off";
    assert_eq!(error.to_string(), missing);
    // A shop is no admin API.
    let at = shops.blue.address();
    let section = format!(
        "caddy: {{ admin: 'http://{at}', blue: '{at}', green: '127.0.0.1:1', autosave: /x, release: {{ url: 'http://{at}/' }} }}"
    );
    let world = World::new(&section, "", Env::default());
    let error = world.router().loaded(&HERE).await.unwrap_err().to_string();
    let error = error.replace(&at, "SHOP");
    insta::assert_snapshot!(error, @"Caddy's admin API at http://SHOP: it sends no ETag, so it is not Caddy, or a Caddy before 2.5");
    drop(caddy);
}

#[test]
fn a_section_that_cannot_be_right_is_refused() {
    let base = "blue: '127.0.0.1:1', green: '127.0.0.1:2', release: { url: 'http://a/' }";
    let sections = [
        format!("caddy: {{ {base} }}"),
        format!("caddy: {{ {base}, autosave: /a, config-file: /b }}"),
        format!("caddy: {{ {base}, autosave: /a, id: x, path: y }}"),
        format!("caddy: {{ {base}, autosave: /a, admin: 'unix//run/caddy.sock' }}"),
        "caddy: { blue: 'a:1', green: 'a:1', autosave: /a }".to_owned(),
    ];
    let said = sections.map(|section| refused(&section)).join("\n---\n");
    insta::assert_snapshot!(said, @r"
    failed to understand deploy-guard.yml:5:10: what Caddy reads when it starts again is not given
    ---
    failed to understand deploy-guard.yml:5:96: `config-file` and `autosave` exclude each other
    ---
    failed to understand deploy-guard.yml:5:113: `id` and `path` exclude each other
    ---
    failed to understand deploy-guard.yml:5:107: the URL has no scheme
    ---
    failed to understand deploy-guard.yml:5:32: both sides have the same address
    ");
}
