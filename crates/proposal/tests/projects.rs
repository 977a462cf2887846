//! What a Compose file tells of the services that a release changes.

use crate::seen::over_ssh;
use crate::{configuration, looked};

const BUILD: &str = "  build:\n    runs-on: ubuntu-latest\n    steps:\n      - uses: docker/build-push-action@v6\n        with: { push: true, tags: 'acme/shop:${{ github.sha }}' }\n";

fn deploys() -> String {
    over_ssh("cd /srv/shop\nexport TAG=${{ github.sha }}\ndocker compose up -d") + BUILD
}

#[test]
fn what_does_one_thing_and_ends_must_have_ended() {
    let file = "services:
  api:
    image: acme/shop:${TAG:-latest}
    depends_on: { seed: { condition: service_completed_successfully } }
  seed: { image: 'acme/shop:${TAG:-latest}' }
  certs: { image: 'acme/shop:${TAG:-latest}', restart: 'no' }
  redis: { image: 'redis:7' }
";
    let config = configuration(&deploys(), &[("docker-compose.yml", file)]);
    let (gate, back) = config.split_once("rollback:").unwrap();
    for part in [gate, back] {
        assert!(part.contains("completed: [certs, seed]"), "{config}");
    }
    assert!(gate.contains("services: [api]"), "{config}");
}

#[test]
fn what_starts_the_image_of_a_built_service_goes_back_with_it() {
    let file = "services:
  api: { image: 'other/api:${TAG:-latest}', build: . }
  worker: { image: 'other/api:${TAG:-latest}', command: work }
  proxy: { image: 'other/proxy:${TAG:-latest}' }
";
    let files = [("docker-compose.yml", file)];
    let told = looked(&deploys(), &files);
    assert!(told.contains("worker: other/api:RELEASE"), "{told}");
    assert!(!told.contains("proxy: other/proxy"), "{told}");
    let config = configuration(&deploys(), &files);
    assert!(config.contains("services: [api, worker]"), "{config}");
    assert!(
        config.contains("worker: \"other/api:{release}\""),
        "{config}"
    );
}

#[test]
fn what_an_if_adds_to_the_command_leaves_the_rest_of_it() {
    let script = "COMPOSE=\"docker compose -f one.yml\"\nif [ -f ~/.env ]; then\n  COMPOSE=\"$COMPOSE --env-file ~/.env\"\nfi\n$COMPOSE up -d";
    let told = looked(
        &over_ssh(script),
        &[("one.yml", "services: { api: { build: . } }\n")],
    );
    assert!(told.contains("files          one.yml"), "{told}");
    assert!(!told.contains("env files"), "{told}");
}
