//! Runs of real-looking workflows: starter workflows, deployments, and all ways in which a run ends.

use diagnosis::{Needed, Stage, cause};

use crate::made::{found, jobs, needed};

/// A run, and what is to be found: the stage, the job, the step, and a part of the first error line.
struct Run {
    name: &'static str,
    jobs: &'static str,
    log: &'static str,
    stage: Stage,
    cause: (&'static str, &'static str),
    says: &'static str,
}

const RUNS: &[Run] = &[
    Run {
        name: "the container of a job that tests cannot be pulled",
        jobs: "test failure: Set up job ok; Initialize containers FAIL; Complete job ok",
        log: "1| ##[command]/usr/bin/docker pull ghcr.io/acme/ci:1\n1| Error response from daemon: denied\n1| ##[error]Docker pull failed with exit code 1",
        stage: Stage::Image,
        cause: ("test", "Initialize containers"),
        says: "Error response from daemon: denied",
    },
    Run {
        name: "a script that deploys counts its own steps",
        jobs: "deploy failure: Set up job ok; Deploy to production FAIL; Complete job ok",
        log: "1| ##[group]Run ./deploy.sh v2\n1| ##[endgroup]\n1| Step 1/5: Pull the new image\n1| Step 2/5: Copy configuration\n1| Step 3/5: Run database migrations\n1| alembic.util.exc.CommandError: Can't locate revision identified by 'abc'\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Migration,
        cause: ("deploy", "Deploy to production"),
        says: "alembic.util",
    },
    Run {
        name: "a script that deploys counts its own steps, and none of them migrates",
        jobs: "deploy failure: Set up job ok; Deploy FAIL; Complete job ok",
        log: "1| ##[group]Run ./deploy.sh\n1| ##[endgroup]\n1| Step 1/3: Copy files to web-1\n1| Step 2/3: Run new containers\n1| Error response from daemon: port is already allocated\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Deploy,
        cause: ("deploy", "Deploy"),
        says: "Error response",
    },
    Run {
        name: "Gradle builds and tests in one",
        jobs: "build failure: Set up job ok; Build with Gradle FAIL; Complete job ok",
        log: "1| ##[group]Run ./gradlew build\n1| ##[endgroup]\n1| > Task :test FAILED\n1| FAILURE: Build failed with an exception.\n1| > There were failing tests. See the report at: file:///x/index.html\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Test,
        cause: ("build", "Build with Gradle"),
        says: "Task :test FAILED",
    },
    Run {
        name: "Gradle does not compile",
        jobs: "build failure: Set up job ok; Build with Gradle FAIL; Complete job ok",
        log: "1| ##[group]Run ./gradlew build\n1| ##[endgroup]\n1| > Task :compileJava FAILED\n1| FAILURE: Build failed with an exception.\n1| > Compilation failed; see the compiler error output for details.\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Build,
        cause: ("build", "Build with Gradle"),
        says: "compileJava FAILED",
    },
    Run {
        name: "Maven builds and tests in one",
        jobs: "build failure: Set up job ok; Build with Maven FAIL; Complete job ok",
        log: "1| ##[group]Run mvn -B package\n1| ##[endgroup]\n1| [INFO] Tests run: 3, Failures: 1, Errors: 0\n1| [ERROR] Failed to execute goal org.apache.maven.plugins:maven-surefire-plugin:3.2.5:test (default-test) on project shop: There are test failures.\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Test,
        cause: ("build", "Build with Maven"),
        says: "There are test failures",
    },
    Run {
        name: "Vitest within a step that builds",
        jobs: "ci failure: Set up job ok; Build and test FAIL; Complete job ok",
        log: "1| ##[group]Run npm run ci\n1| ##[endgroup]\n1|  Test Files  1 failed | 3 passed (4)\n1|       Tests  1 failed | 20 passed (21)\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Test,
        cause: ("ci", "Build and test"),
        says: "1 failed",
    },
    Run {
        name: "RSpec tells of one failure",
        jobs: "build failure: Set up job ok; Build FAIL; Complete job ok",
        log: "1| ##[group]Run bundle exec rake\n1| ##[endgroup]\n1| 10 examples, 1 failure\n1| rspec ./spec/a_spec.rb:3 # x\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Test,
        cause: ("build", "Build"),
        says: "1 failure",
    },
    Run {
        name: "Mocha in a step whose name says nothing",
        jobs: "ci failure: Set up job ok; CI FAIL; Complete job ok",
        log: "1| ##[group]Run make ci\n1| ##[endgroup]\n1|   12 passing (2s)\n1|   1 failing\n1|   1) checkout\n1| AssertionError: expected 1\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Test,
        cause: ("ci", "CI"),
        says: "1 failing",
    },
    Run {
        name: "a step of the Dockerfile fails in a step that is to publish the image",
        jobs: "docker failure: Set up job ok; Run actions/checkout@v4 ok; Publish Docker image FAIL; Complete job ok",
        log: "2| ##[group]Run docker/build-push-action@v6\n2| with:\n2|   push: true\n2| ##[endgroup]\n2| #9 [build 4/7] RUN npm ci\n2| #9 ERROR: process \"/bin/sh -c npm ci\" did not complete successfully: exit code: 1\n2| ------\n2|  > [build 4/7] RUN npm ci:\n2| 0.9 npm ERR! code EUSAGE\n2| ------",
        stage: Stage::Build,
        cause: ("docker", "Publish Docker image"),
        says: "#9 ERROR: process",
    },
    Run {
        name: "a step of the Dockerfile fails where tests are to be run in containers",
        jobs: "test failure: Set up job ok; Run tests FAIL; Complete job ok",
        log: "1| ##[group]Run docker compose -f test.yml up --build --exit-code-from t\n1| ##[endgroup]\n1| Step 3/9 : RUN go build ./...\n1| ./main.go:3:1: syntax error\n1| The command '/bin/sh -c go build ./...' returned a non-zero code: 2\n1| ##[error]Process completed with exit code 2.",
        stage: Stage::Build,
        cause: ("test", "Run tests"),
        says: "returned a non-zero code: 2",
    },
    Run {
        name: "kaniko does not number the steps",
        jobs: "image failure: Set up job ok; Image FAIL; Complete job ok",
        log: "1| ##[group]Run /kaniko/executor --dockerfile Dockerfile\n1| ##[endgroup]\n1| INFO[0001] RUN npm ci\n1| error building image: error building stage: failed to execute command: waiting for process to exit: exit status 1\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Build,
        cause: ("image", "Image"),
        says: "error building image",
    },
    Run {
        name: "migrations that are rolled back are a way back",
        jobs: "deploy failure: Set up job ok; Roll back migrations FAIL; Complete job ok",
        log: "1| ##[group]Run alembic downgrade -1\n1| ##[endgroup]\n1| alembic.util.exc.CommandError: Relative revision -1 didn't produce 1 migrations\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Rollback,
        cause: ("deploy", "Roll back migrations"),
        says: "alembic.util.exc.CommandError",
    },
    Run {
        name: "a traceback of Django's migrations in a script that releases",
        jobs: "x failure: Set up job ok; Release FAIL; Complete job ok",
        log: "1| ##[group]Run ./release.sh\n1| ##[endgroup]\n1| Traceback (most recent call last):\n1|   File \"/usr/lib/python3/site-packages/django/db/migrations/executor.py\", line 135, in migrate\n1| django.db.utils.OperationalError: lock timeout\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Migration,
        cause: ("x", "Release"),
        says: "Traceback",
    },
    Run {
        name: "docker/build-push-action: an instruction fails",
        jobs: "docker failure: Set up job ok; Run actions/checkout@v4 ok; Set up Docker Buildx ok; Login to GHCR ok; Build and push FAIL; Post Build and push ok; Complete job ok",
        log: "4| ##[group]Run docker/build-push-action@v6\n4| with:\n4|   push: true\n4| ##[endgroup]\n4| #10 [build 4/7] RUN npm ci\n4| #10 0.523 npm ERR! code EUSAGE\n4| #10 ERROR: process \"/bin/sh -c npm ci\" did not complete successfully: exit code: 1\n4| ------\n4|  > [build 4/7] RUN npm ci:\n4| ------\n4| ERROR: failed to solve: process \"/bin/sh -c npm ci\" did not complete successfully: exit code: 1\n4| ##[error]buildx failed with: ERROR: failed to solve: process \"/bin/sh -c npm ci\" did not complete successfully: exit code: 1",
        stage: Stage::Build,
        cause: ("docker", "Build and push"),
        says: "npm ERR! code EUSAGE",
    },
    Run {
        name: "docker/build-push-action: the registry refuses the push",
        jobs: "docker failure: Set up job ok; Run actions/checkout@v4 ok; Build and push FAIL; Complete job ok",
        log: "2| ##[group]Run docker/build-push-action@v6\n2| ##[endgroup]\n2| #19 [build 7/7] RUN npm run build\n2| #19 DONE 3.1s\n2| #20 pushing layers\n2| #20 ERROR: failed to push ghcr.io/acme/shop:v1: denied: permission_denied: write_package\n2| ERROR: failed to solve: failed to push ghcr.io/acme/shop:v1: denied: permission_denied: write_package\n2| ##[error]buildx failed with: ERROR: failed to solve: failed to push ghcr.io/acme/shop:v1",
        stage: Stage::Image,
        cause: ("docker", "Build and push"),
        says: "failed to push ghcr.io/acme/shop:v1: denied",
    },
    Run {
        name: "docker/build-push-action without a log",
        jobs: "docker failure: Set up job ok; Run docker/build-push-action@v6 FAIL; Complete job ok",
        log: "",
        stage: Stage::Build,
        cause: ("docker", "Run docker/build-push-action@v6"),
        says: "",
    },
    Run {
        name: "docker/login-action: a wrong password",
        jobs: "publish failure: Set up job ok; Run docker/login-action@v3 FAIL; Run docker/build-push-action@v6 skip; Complete job ok",
        log: "1| ##[group]Run docker/login-action@v3\n1| ##[endgroup]\n1| Logging into docker.io...\n1| ##[error]Error response from daemon: Get \"https://registry-1.docker.io/v2/\": unauthorized: incorrect username or password",
        stage: Stage::Image,
        cause: ("publish", "Run docker/login-action@v3"),
        says: "Error response from daemon",
    },
    Run {
        name: "classic builder in a shell",
        jobs: "build failure: Set up job ok; Run docker build -t shop:v1 . FAIL; Complete job ok",
        log: "1| ##[group]Run docker build -t shop:v1 .\n1| docker build -t shop:v1 .\n1| shell: /usr/bin/bash -e {0}\n1| ##[endgroup]\n1| Step 4/9 : RUN npm ci\n1|  ---> Running in 5d1b0c\n1| The command '/bin/sh -c npm ci' returned a non-zero code: 1\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Build,
        cause: ("build", "Run docker build -t shop:v1 ."),
        says: "The command '/bin/sh -c npm ci' returned a non-zero code: 1",
    },
    Run {
        name: "python-app starter: pytest",
        jobs: "build failure: Set up job ok; Run actions/checkout@v4 ok; Set up Python 3.12 ok; Install dependencies ok; Lint with flake8 ok; Test with pytest FAIL; Complete job ok",
        log: "5| ##[group]Run pytest\n5| pytest\n5| ##[endgroup]\n5| ============================= test session starts ==============================\n5| E   AssertionError: assert 1 == 2\n5| =========================== short test summary info ============================\n5| FAILED tests/test_cart.py::test_total - AssertionError: assert 1 == 2\n5| ##[error]Process completed with exit code 1.",
        stage: Stage::Test,
        cause: ("build", "Test with pytest"),
        says: "E   AssertionError: assert 1 == 2",
    },
    Run {
        name: "python-app starter: flake8",
        jobs: "build failure: Set up job ok; Lint with flake8 FAIL; Test with pytest skip; Complete job ok",
        log: "1| ##[group]Run flake8 .\n1| ##[endgroup]\n1| ./app.py:1:1: F821 undefined name 'x'\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Test,
        cause: ("build", "Lint with flake8"),
        says: "./app.py:1:1: F821",
    },
    Run {
        name: "node starter: jest, unnamed step, one cell of a matrix, the others cancelled",
        jobs: "build (20.x) cancelled: Set up job ok; Run npm ci ok; Run npm test cancelled; Complete job ok\nbuild (18.x) failure: Set up job ok; Run npm ci ok; Run npm test FAIL; Complete job ok\nbuild (22.x) cancelled: Set up job ok; Run npm ci cancelled; Complete job ok",
        log: "2| ##[group]Run npm test\n2| ##[endgroup]\n2| FAIL src/cart.test.js\n2|   ● cart › total\n2|     expect(received).toBe(expected)\n2| Test Suites: 1 failed, 4 passed, 5 total\n2| Tests:       1 failed, 40 passed, 41 total\n2| ##[error]Process completed with exit code 1.",
        stage: Stage::Test,
        cause: ("build (18.x)", "Run npm test"),
        says: "FAIL src/cart.test.js",
    },
    Run {
        name: "node starter: the build script",
        jobs: "build (18.x) failure: Set up job ok; Run npm ci ok; Run npm run build --if-present FAIL; Run npm test skip; Complete job ok",
        log: "2| ##[group]Run npm run build --if-present\n2| ##[endgroup]\n2| src/app.ts(3,7): error TS2322: Type 'string' is not assignable to type 'number'.\n2| ##[error]Process completed with exit code 2.",
        stage: Stage::Build,
        cause: ("build (18.x)", "Run npm run build --if-present"),
        says: "error TS2322",
    },
    Run {
        name: "dependencies cannot be installed, and the job's name says nothing",
        jobs: "ci failure: Set up job ok; Run npm ci FAIL; Complete job ok",
        log: "1| ##[group]Run npm ci\n1| npm ci\n1| ##[endgroup]\n1| npm ERR! code ERESOLVE\n1| npm ERR! ERESOLVE could not resolve\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Build,
        cause: ("ci", "Run npm ci"),
        says: "npm ERR! code ERESOLVE",
    },
    Run {
        name: "dependencies cannot be installed in a job of tests",
        jobs: "test failure: Set up job ok; Install dependencies FAIL; Run pytest skip; Complete job ok",
        log: "1| ##[group]Run pip install -r requirements.txt\n1| ##[endgroup]\n1| ERROR: No matching distribution found for flask==99\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Test,
        cause: ("test", "Install dependencies"),
        says: "ERROR: No matching distribution found for flask==99",
    },
    Run {
        name: "alembic by name",
        jobs: "deploy failure: Set up job ok; Run database migrations FAIL; Deploy skip; Complete job ok",
        log: "1| ##[group]Run poetry run alembic upgrade head\n1| ##[endgroup]\n1| INFO  [alembic.runtime.migration] Running upgrade 1a -> 2b\n1| psycopg2.errors.DuplicateTable: relation \"users\" already exists\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Migration,
        cause: ("deploy", "Run database migrations"),
        says: "relation \"users\" already exists",
    },
    Run {
        name: "alembic within a step that is called Deploy",
        jobs: "deploy failure: Set up job ok; Deploy FAIL; Complete job ok",
        log: "1| ##[group]Run ./deploy.sh v1\n1| ##[endgroup]\n1| Pulling api\n1| FAILED: Can't locate revision identified by 'ae10'\n1| ##[error]Process completed with exit code 255.",
        stage: Stage::Migration,
        cause: ("deploy", "Deploy"),
        says: "Can't locate revision identified by 'ae10'",
    },
    Run {
        name: "an unnamed step that migrates over ssh",
        jobs: "release failure: Set up job ok; Run docker-compose exec -T api npm run migrate:up FAIL; Complete job ok",
        log: "",
        stage: Stage::Migration,
        cause: (
            "release",
            "Run docker-compose exec -T api npm run migrate:up",
        ),
        says: "",
    },
    Run {
        name: "prisma",
        jobs: "deploy failure: Set up job ok; Run npx prisma migrate deploy FAIL; Complete job ok",
        log: "1| ##[group]Run npx prisma migrate deploy\n1| ##[endgroup]\n1| Error: P3009\n1| migrate found failed migrations in the target database\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Migration,
        cause: ("deploy", "Run npx prisma migrate deploy"),
        says: "Error: P3009",
    },
    Run {
        name: "ecs starter: the service does not become stable",
        jobs: "Deploy failure: Set up job ok; Checkout ok; Configure AWS credentials ok; Login to Amazon ECR ok; Build, tag, and push image to Amazon ECR ok; Deploy Amazon ECS task definition FAIL; Complete job ok",
        log: "5| ##[group]Run aws-actions/amazon-ecs-deploy-task-definition@v2\n5| ##[endgroup]\n5| ##[error]Resource is not in the state servicesStable",
        stage: Stage::Deploy,
        cause: ("Deploy", "Deploy Amazon ECS task definition"),
        says: "Resource is not in the state servicesStable",
    },
    Run {
        name: "ecs: the image of the task is not there",
        jobs: "Deploy failure: Set up job ok; Run aws-actions/amazon-ecs-deploy-task-definition@v2 FAIL; Complete job ok",
        log: "1| ##[group]Run aws-actions/amazon-ecs-deploy-task-definition@v2\n1| ##[endgroup]\n1| ##[error]CannotPullContainerError: manifest unknown: shop:v9",
        stage: Stage::Image,
        cause: (
            "Deploy",
            "Run aws-actions/amazon-ecs-deploy-task-definition@v2",
        ),
        says: "CannotPullContainerError",
    },
    Run {
        name: "ssh-action: the key is not accepted",
        jobs: "deploy failure: Set up job ok; Run appleboy/ssh-action@v1.0.3 FAIL; Complete job ok",
        log: "1| ##[group]Run appleboy/ssh-action@v1.0.3\n1| ##[endgroup]\n1| 2026/11/21 02:00:15 ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey]\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Deploy,
        cause: ("deploy", "Run appleboy/ssh-action@v1.0.3"),
        says: "handshake failed",
    },
    Run {
        name: "kubectl: the rollout does not end",
        jobs: "deploy failure: Set up job ok; Run kubectl rollout status deployment/shop --timeout=120s FAIL; Complete job ok",
        log: "1| ##[group]Run kubectl rollout status deployment/shop --timeout=120s\n1| ##[endgroup]\n1| Waiting for deployment \"shop\" rollout to finish: 1 old replicas are pending termination...\n1| error: timed out waiting for the condition\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Deploy,
        cause: (
            "deploy",
            "Run kubectl rollout status deployment/shop --timeout=120s",
        ),
        says: "error: timed out waiting for the condition",
    },
    Run {
        name: "a container that is unhealthy, in a step called Deploy",
        jobs: "deploy failure: Set up job ok; Deploy FAIL; Complete job ok",
        log: "1| ##[group]Run docker compose up -d --wait\n1| ##[endgroup]\n1|  Container shop-api-1  Error\n1| dependency failed to start: container shop-api-1 is unhealthy\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Health,
        cause: ("deploy", "Deploy"),
        says: "dependency failed to start",
    },
    Run {
        name: "health checks by name",
        jobs: "deploy failure: Set up job ok; Deploy ok; Health checks FAIL; Roll back ok; Complete job ok",
        log: "2| ##[group]Run curl -fsS https://shop.example/health\n2| ##[endgroup]\n2| curl: (22) The requested URL returned error: 503\n2| ##[error]Process completed with exit code 22.",
        stage: Stage::Health,
        cause: ("deploy", "Health checks"),
        says: "returned error: 503",
    },
    Run {
        name: "an unnamed curl of the health endpoint",
        jobs: "deploy failure: Set up job ok; Run curl -fsS http://localhost:8000/health/ready FAIL; Complete job ok",
        log: "",
        stage: Stage::Health,
        cause: ("deploy", "Run curl -fsS http://localhost:8000/health/ready"),
        says: "",
    },
    Run {
        name: "smoke tests with pytest",
        jobs: "deploy failure: Set up job ok; Deploy ok; Run poetry run pytest tests/smoke -v FAIL; Complete job ok",
        log: "2| ##[group]Run poetry run pytest tests/smoke -v\n2| ##[endgroup]\n2| FAILED tests/smoke/test_checkout.py::test_buy - requests.exceptions.ConnectionError\n2| =========================== short test summary info ============================\n2| ##[error]Process completed with exit code 1.",
        stage: Stage::Smoke,
        cause: ("deploy", "Run poetry run pytest tests/smoke -v"),
        says: "FAILED tests/smoke/test_checkout.py",
    },
    Run {
        name: "a smoke test after a deployment, by its name",
        jobs: "verify failure: Set up job ok; Post-deploy smoke test FAIL; Complete job ok",
        log: "",
        stage: Stage::Smoke,
        cause: ("verify", "Post-deploy smoke test"),
        says: "",
    },
    Run {
        name: "our Action: preflight",
        jobs: "deploy failure: Set up job ok; Preflight FAIL; Deploy skip; Gate skip; Roll back skip; Complete job ok",
        log: "1| ##[group]Run org/deploy-guard@v1\n1| with:\n1|   stage: preflight\n1| ##[endgroup]\n1| ✗ preflight: fail · shop · v3\n1|   image/shop: there is no image shop:v3\n1| ##[error]image/shop: there is no image shop:v3",
        stage: Stage::Deploy,
        cause: ("deploy", "Preflight"),
        says: "✗ preflight: fail",
    },
    Run {
        name: "our Action: the gate fails and the rollback works",
        jobs: "deploy failure: Set up job ok; Preflight ok; Begin ok; Deploy ok; Gate FAIL; Record as good skip; Roll back ok; Complete job ok",
        log: "4| ##[group]Run org/deploy-guard@v1\n4| with:\n4|   stage: healthgate\n4| ##[endgroup]\n4| ✗ healthgate: fail · shop · v3\n4| ##[error]http/ready: failed (3) > failure-limit (2)",
        stage: Stage::Health,
        cause: ("deploy", "Gate"),
        says: "✗ healthgate: fail",
    },
    Run {
        name: "our Action: an unnamed rollback is refused",
        jobs: "back failure: Set up job ok; Run org/deploy-guard@v1 FAIL; Complete job ok",
        log: "1| ##[group]Run org/deploy-guard@v1\n1| with:\n1|   stage: rollback\n1| ##[endgroup]\n1| ⊘ rollback: refused · shop\n1| ##[error]there is no last-known-good release",
        stage: Stage::Rollback,
        cause: ("back", "Run org/deploy-guard@v1"),
        says: "there is no last-known-good release",
    },
    Run {
        name: "our Action: run, whose gate failed",
        jobs: "deploy failure: Set up job ok; Run org/deploy-guard@v1 FAIL; Complete job ok",
        log: "1| ##[group]Run org/deploy-guard@v1\n1| with:\n1|   stage: run\n1| ##[endgroup]\n1| ✓ preflight: pass · shop · v3\n1| ✗ healthgate: fail · shop · v3\n1| ✓ rollback: pass · shop · v3\n1| ✗ run: fail · shop · v3\n1| ##[error]v3 failed its gate; v2 is back and verified after 3 s",
        stage: Stage::Health,
        cause: ("deploy", "Run org/deploy-guard@v1"),
        says: "✗ healthgate: fail",
    },
    Run {
        name: "deploy-guard run in a shell, whose deployment failed",
        jobs: "production failure: Set up job ok; Deploy FAIL; Complete job ok",
        log: "1| ##[group]Run deploy-guard run --release v3\n1| ##[endgroup]\n1| ✓ preflight: pass · shop · v3\n1| ✗ run: fail · shop · v3\n1|   ✓ run/preflight  v3\n1|   ✗ run/deploy  v3\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Deploy,
        cause: ("production", "Deploy"),
        says: "✗ run: fail",
    },
    Run {
        name: "our migrate in a shell",
        jobs: "deploy failure: Set up job ok; Run deploy-guard migrate run --release v3 FAIL; Complete job ok",
        log: "",
        stage: Stage::Migration,
        cause: ("deploy", "Run deploy-guard migrate run --release v3"),
        says: "",
    },
    Run {
        name: "a step's own time is up",
        jobs: "test failure: Set up job ok; Integration tests FAIL; Complete job ok",
        log: "1| ##[group]Run make integration\n1| ##[endgroup]\n1| waiting for db\n1| ##[error]The action 'Integration tests' has timed out after 10 minutes.",
        stage: Stage::Test,
        cause: ("test", "Integration tests"),
        says: "has timed out after 10 minutes",
    },
    Run {
        name: "the job's time is up",
        jobs: "deploy timed_out: Set up job ok; Wait for service cancelled; Complete job ok",
        log: "1| ##[group]Run ./wait.sh\n1| ##[endgroup]\n1| still starting\n1| ##[error]The operation was canceled.",
        stage: Stage::Health,
        cause: ("deploy", "Wait for service"),
        says: "still starting",
    },
    Run {
        name: "cancelled by a person while it deployed",
        jobs: "build success: Set up job ok; Build ok; Complete job ok\ndeploy cancelled @60: Set up job ok; Deploy to production cancelled; Health checks skip; Complete job ok",
        log: "1| ##[group]Run ./deploy.sh\n1| ##[endgroup]\n1| switching web-01\n1| ##[error]The operation was canceled.",
        stage: Stage::Deploy,
        cause: ("deploy", "Deploy to production"),
        says: "switching web-01",
    },
    Run {
        name: "cancelled before any job had a runner",
        jobs: "deploy cancelled",
        log: "",
        stage: Stage::Deploy,
        cause: ("deploy", ""),
        says: "",
    },
    Run {
        name: "a job that never got a runner",
        jobs: "build success: Set up job ok; Build ok; Complete job ok\nsmoke-tests failure",
        log: "",
        stage: Stage::Smoke,
        cause: ("smoke-tests", ""),
        says: "",
    },
    Run {
        name: "startup_failure: there are no jobs",
        jobs: "",
        log: "",
        stage: Stage::Unknown,
        cause: ("", ""),
        says: "",
    },
    Run {
        name: "a runner that was lost while it pushed",
        jobs: "image failure: Set up job ok; Push to registry lost; Complete job open",
        log: "",
        stage: Stage::Image,
        cause: ("image", "Push to registry"),
        says: "",
    },
    Run {
        name: "a reusable workflow: the called job is named",
        jobs: "ci / lint success: Set up job ok; Complete job ok\nci / unit failure: Set up job ok; Run make check FAIL; Complete job ok\ndeploy skipped",
        log: "",
        stage: Stage::Test,
        cause: ("ci / unit", "Run make check"),
        says: "",
    },
    Run {
        name: "a reusable workflow whose job says nothing: the caller does",
        jobs: "deploy / main (eu-west-1) failure: Set up job ok; Apply FAIL; Complete job ok",
        log: "",
        stage: Stage::Deploy,
        cause: ("deploy / main (eu-west-1)", "Apply"),
        says: "",
    },
    Run {
        name: "a step that may fail, whose error is first in the log",
        jobs: "deploy failure: Set up job ok; Lint ok; Deploy FAIL; Complete job ok",
        log: "1| ##[group]Run eslint .\n1| ##[endgroup]\n1| 3 problems (3 errors, 0 warnings)\n1. ##[error]Process completed with exit code 1.\n2| ##[group]Run ./deploy.sh\n2| ##[endgroup]\n2| rsync: connection unexpectedly closed: error in rsync protocol data stream\n2| ##[error]Process completed with exit code 12.",
        stage: Stage::Deploy,
        cause: ("deploy", "Deploy"),
        says: "rsync: connection unexpectedly closed",
    },
    Run {
        name: "a step that may fail, listed as failed",
        jobs: "deploy failure: Set up job ok; Lint FAIL; Build ok; Health check FAIL; Notify skip; Complete job ok",
        log: "",
        stage: Stage::Health,
        cause: ("deploy", "Health check"),
        says: "",
    },
    Run {
        name: "a clean-up that fails after the cause",
        jobs: "deploy failure: Set up job ok; Smoke tests FAIL; Notify skip; Roll back FAIL; Post Run actions/checkout@v4 ok; Complete job ok",
        log: "",
        stage: Stage::Smoke,
        cause: ("deploy", "Smoke tests"),
        says: "",
    },
    Run {
        name: "two jobs failed at once: the first in time",
        jobs: "test failure @30: Set up job ok; Run pytest FAIL; Complete job ok\nbuild failure: Set up job ok; Build FAIL; Complete job ok\ndeploy skipped",
        log: "",
        stage: Stage::Build,
        cause: ("build", "Build"),
        says: "",
    },
    Run {
        name: "a job that only sums up the others",
        jobs: "unit failure: Set up job ok; Run go test ./... FAIL; Complete job ok\nall-green failure @90: Set up job ok; Decide whether all is well FAIL; Complete job ok",
        log: "",
        stage: Stage::Test,
        cause: ("unit", "Run go test ./..."),
        says: "",
    },
    Run {
        name: "an action cannot be downloaded in a job that deploys",
        jobs: "deploy failure: Set up job FAIL; Deploy skip; Complete job ok",
        log: "0| ##[error]Unable to resolve action `acme/gone@v1`, unable to find version `v1`",
        stage: Stage::Deploy,
        cause: ("deploy", "Set up job"),
        says: "Unable to resolve action",
    },
    Run {
        name: "nothing says what it is",
        jobs: "job1 failure: Set up job ok; Run ./x.sh FAIL; Complete job ok",
        log: "1| ##[group]Run ./x.sh\n1| ##[endgroup]\n1| oh no\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Unknown,
        cause: ("job1", "Run ./x.sh"),
        says: "oh no",
    },
    Run {
        name: "a rollback over kubectl",
        jobs: "undo failure: Set up job ok; Run kubectl rollout undo deployment/shop FAIL; Complete job ok",
        log: "",
        stage: Stage::Rollback,
        cause: ("undo", "Run kubectl rollout undo deployment/shop"),
        says: "",
    },
    Run {
        name: "cargo",
        jobs: "build failure: Set up job ok; Run cargo build --release FAIL; Complete job ok",
        log: "1| ##[group]Run cargo build --release\n1| ##[endgroup]\n1| \u{1b}[1m\u{1b}[91merror[E0308]\u{1b}[0m: mismatched types\n1| error: could not compile `shop` (lib) due to 1 previous error\n1| ##[error]Process completed with exit code 101.",
        stage: Stage::Build,
        cause: ("build", "Run cargo build --release"),
        says: "error[E0308]: mismatched types",
    },
    Run {
        name: "tests that need a build, by their log",
        jobs: "ci failure: Set up job ok; Build and test FAIL; Complete job ok",
        log: "1| ##[group]Run mvn -B verify\n1| ##[endgroup]\n1| [ERROR] Tests run: 8, Failures: 1, Errors: 0, Skipped: 0\n1| [ERROR] There are test failures.\n1| ##[error]Process completed with exit code 1.",
        stage: Stage::Test,
        cause: ("ci", "Build and test"),
        says: "Tests run: 8, Failures: 1",
    },
    Run {
        name: "still running, and a step has failed already",
        jobs: "deploy running: Set up job ok; Smoke tests FAIL; Roll back lost; Complete job open",
        log: "",
        stage: Stage::Smoke,
        cause: ("deploy", "Smoke tests"),
        says: "",
    },
];

#[test]
fn each_run_has_its_stage_its_cause_and_its_words() {
    assert!(RUNS.len() >= 40, "{}", RUNS.len());
    let mut wrong = Vec::new();
    for Run {
        name,
        jobs: lines,
        log,
        stage,
        cause,
        says,
    } in RUNS
    {
        let jobs = jobs(lines);
        let (found_stage, job, step, lines) = found(&jobs, log, &Needed::default());
        let first = lines.first().cloned().unwrap_or_default();
        let is_same = found_stage == *stage && (job.as_str(), step.as_str()) == *cause;
        if !is_same || !first.contains(says) || first.is_empty() != says.is_empty() {
            wrong.push(format!(
                "{name}: {found_stage}, {job:?} {step:?}, {lines:#?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Of two that failed the one is the cause that another job waits for, where the workflow tells it.
#[test]
fn a_job_that_others_need_is_the_cause_before_one_that_failed_sooner() {
    let jobs = jobs(
        "lint failure: Set up job ok; Run eslint . FAIL\n\
         build (arm64) failure @60: Set up job ok; Build FAIL\n\
         build (amd64) success @60: Set up job ok; Build ok\n\
         scan cancelled @60: Set up job ok; Scan cancelled\n\
         deploy / go skipped",
    );
    let known = needed(&[("deploy", &["build"]), ("lint", &[]), ("build", &[])]);
    let names = |needed: &Needed| {
        let found = cause(&jobs, needed).unwrap();
        let others = found.others.iter().map(|other| other.job.name.as_str());
        [found.first.job.name.as_str()]
            .into_iter()
            .chain(others)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&known), ["build (arm64)", "lint", "scan"]);
    assert_eq!(names(&Needed::default()), ["lint", "build (arm64)", "scan"]);
    // Nothing of a run depends on a job that may fail, however soon it failed.
    let may_fail = |job: &str| Needed {
        may_fail: [job.to_owned()].into(),
        ..known.clone()
    };
    assert_eq!(names(&may_fail("build")), ["lint", "scan", "build (arm64)"]);
    assert_eq!(names(&may_fail("lint")), ["build (arm64)", "scan", "lint"]);
    let alone = crate::made::jobs("lint failure: Set up job ok; Run eslint . FAIL");
    let found = cause(&alone, &may_fail("lint")).unwrap();
    assert_eq!(found.first.job.name, "lint");
    // A job that was skipped is not the cause, nor one that went well.
    let well = crate::made::jobs("build success\ndeploy skipped\nnotify neutral");
    assert_eq!(cause(&well, &Needed::default()), None);
}

/// Steps of workflows as people write them, each in a job whose name says nothing.
#[test]
fn a_step_is_told_by_its_name_or_by_what_it_runs() {
    use Stage::{Build, Deploy, Health, Image, Migration, Rollback, Smoke, Test, Unknown};
    for (step, expected) in [
        ("Run Trivy vulnerability scanner", Image),
        ("Terraform Apply", Deploy),
        ("Run tests", Test),
        ("Run make deploy", Deploy),
        ("Run ./scripts/blue-green-deploy.sh --image shop:v1", Deploy),
        ("Run ./scripts/auto-rollback.sh", Rollback),
        ("Run make validate-deployment", Health),
        ("Deploy Docker image", Deploy),
        ("Deploy database migrations", Migration),
        ("Release build", Build),
        ("Unit tests & lint", Test),
        ("Compile TypeScript", Build),
        ("Check health endpoint", Health),
        ("Deploy (canary 10%)", Deploy),
        ("Run integration tests against staging", Test),
        ("Run go vet ./... && go test ./...", Test),
        ("Run helm upgrade --install shop ./chart --atomic", Deploy),
        ("Run ansible-playbook -i hosts deploy.yml", Deploy),
        ("Run python manage.py migrate --noinput", Migration),
        ("Run ./bin/rails db:migrate", Migration),
        ("Run google-github-actions/deploy-cloudrun@v2", Deploy),
        ("Run cypress-io/github-action@v6", Test),
        ("Run actions/checkout@v4", Unknown),
        ("Notify Slack", Unknown),
        ("Post Run actions/cache@v4", Unknown),
        ("Test deployment", Smoke),
    ] {
        let jobs = jobs(&format!("main failure: {step} FAIL"));
        assert_eq!(found(&jobs, "", &Needed::default()).0, expected, "{step}");
    }
}

#[test]
fn what_a_job_needs_and_whether_it_may_fail_is_read_from_its_workflow() {
    let text = "on: push\njobs:\n  lint: { runs-on: x, steps: [] }\n  b:\n    name: build (${{ matrix.arch }})\n    \
        runs-on: x\n    steps: []\n  c: { name: '${{ matrix.os }}', runs-on: x, steps: [] }\n  \
        deploy: { needs: [b, c, gone], uses: ./x.yml }\n  \
        e2e: { continue-on-error: true, uses: ./y.yml }\n  f: { continue-on-error: '${{ inputs.f }}', steps: [] }\n";
    let tree = yaml::Node::parse(text).unwrap();
    let read = workflow::Workflow::read(".github/workflows/x.yml", text, &tree);
    let jobs = [
        ("lint", &[][..]),
        ("build", &[]),
        ("deploy", &["build"]),
        ("e2e", &[]),
        ("f", &[]),
    ];
    let expected = Needed {
        may_fail: ["e2e".to_owned()].into(),
        ..needed(&jobs)
    };
    assert_eq!(Needed::of(&read), expected);
}
