//! What the key of `split_clients` tells of its users.

use place::Visitor;
use router::nginx::key::{may_be_empty, visitor};

#[test]
fn a_key_of_what_users_send_may_be_empty() {
    for key in ["$cookie_id", "${http_X_User}", "$cookie_a$arg_b"] {
        assert!(may_be_empty(key), "{key}");
    }
    for key in [
        "$remote_addr",
        "$cookie_id$remote_addr",
        "$cookie_idAAA-",
        "x$arg_b",
        "$http_host",
        "",
    ] {
        assert!(!may_be_empty(key), "{key}");
    }
}

#[test]
fn a_key_that_we_send_makes_another_user_each_time() {
    let of = |key: &str| {
        let Visitor {
            cookies,
            headers,
            arguments,
        } = visitor(key)?;
        Some([cookies, headers, arguments].concat())
    };
    assert_eq!(of("$cookie_id"), Some(vec!["id".to_owned()]));
    assert_eq!(of("${http_X_User}AAA"), Some(vec!["x-user".to_owned()]));
    assert_eq!(of("$arg_user$remote_addr"), Some(vec!["user".to_owned()]));
    assert_eq!(of("$request_id"), Some(Vec::new()));
    for one_user in ["$remote_addr", "$http_host", "$uri", "${remote_addr}x", "$"] {
        assert_eq!(of(one_user), None, "{one_user}");
    }
}
