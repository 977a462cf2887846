//! How the same workflow deploys an earlier release.

use crate::back;

/// A workflow with a job that deploys in a way that has no command to go back.
fn flow(on: &str, job: &str) -> String {
    format!("on: {on}\njobs:\n  live:\n    runs-on: ubuntu-latest\n{job}")
}

const CHECKOUT: &str = "      - uses: actions/checkout@v4\n";
const SHIP: &str = "      - run: npx cdk deploy\n";

fn steps(checkout: &str) -> String {
    format!("    steps:\n{checkout}{SHIP}")
}

#[test]
fn what_a_person_does_so_that_an_earlier_release_is_deployed_is_what_deploys_it() {
    let push = "{ push: { branches: [main] } }";
    let by_hand = "{ push: { branches: [main] }, workflow_dispatch: { inputs: { ref: {}, target: { type: choice, options: [staging, live] }, why: { required: true } } } }";
    let of = |checkout: &str| {
        format!("      - uses: actions/checkout@v4\n        with: {{ ref: \"{checkout}\" }}\n")
    };
    let cases = [
        // A run has its commit, and a dispatch takes no commit.
        flow(push, &steps(CHECKOUT)),
        flow(
            "{ push: { branches: [main] }, workflow_dispatch: {} }",
            &steps(CHECKOUT),
        ),
        flow(
            "{ push: { tags: ['v*'] }, workflow_dispatch: {} }",
            &steps(CHECKOUT),
        ),
        // What an input names, and where it goes.
        flow(
            by_hand,
            &steps(&of("${{ github.event.inputs.ref || github.sha }}")),
        ),
        flow(
            by_hand,
            &format!(
                "    environment: ${{{{ inputs.target || 'live' }}}}\n{}",
                steps(&of("${{ inputs.ref || 'main' }}"))
            ),
        ),
        // Which one it is that inputs choose is not known: the run of then has its inputs.
        flow(
            by_hand,
            &format!(
                "    environment: ${{{{ inputs.target == 'x' && 'live' || 'production' }}}}\n{}",
                steps(&of("${{ inputs.ref }}"))
            ),
        ),
        flow(
            "{ workflow_dispatch: { inputs: { operation: { type: choice, options: [deploy, rollback] }, why: { required: true } } } }",
            &steps(CHECKOUT),
        ),
        // A branch that is named is taken as it is then.
        flow(push, &steps(&of("main"))),
        flow(push, &steps(&of("${{ github.ref_name }}"))),
        flow(
            "{ push: { tags: ['v*'] } }",
            &steps(&of("${{ github.ref_name }}")),
        ),
        flow(push, &steps(&of("v1.2"))),
        // What another job of the same run made.
        flow(
            push,
            &format!(
                "    needs: [build]\n    steps:\n      - uses: actions/download-artifact@v4\n{SHIP}  build:\n    runs-on: ubuntu-latest\n    needs: test\n    steps:\n      - run: make\n  test:\n    steps:\n{CHECKOUT}"
            ),
        ),
        flow(
            push,
            &format!(
                "    steps:\n      - uses: actions/download-artifact@v4\n        with: {{ run-id: 7 }}\n{SHIP}"
            ),
        ),
        flow(push, &steps("")),
        // A request names no commit, unless it does or an image was pushed for it.
        flow(
            push,
            &format!(
                "    steps:\n{CHECKOUT}      - run: curl \"${{{{ secrets.DEPLOY_HOOK }}}}\"\n"
            ),
        ),
        flow(
            push,
            &format!(
                "    steps:\n{CHECKOUT}      - run: curl \"${{{{ secrets.DEPLOY_HOOK }}}}&ref=${{{{ github.sha }}}}\"\n"
            ),
        ),
        flow(
            push,
            &format!(
                "    steps:\n{CHECKOUT}      - run: docker push acme/shop:latest\n      - run: curl \"${{{{ secrets.DEPLOY_HOOK }}}}\"\n"
            ),
        ),
        flow(
            push,
            &format!("    steps:\n{CHECKOUT}      - uses: johnbeynon/render-deploy-action@v1\n"),
        ),
        // No console is told of where there is none.
        flow(
            push,
            &format!("    steps:\n{CHECKOUT}      - run: railway up\n"),
        ),
        flow(
            push,
            &format!(
                "    steps:\n{CHECKOUT}      - run: aws lambda update-function-code --function-name shop\n"
            ),
        ),
    ];
    let told: Vec<String> = cases.iter().map(|flow| back(flow, &[])).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_workflow_that_a_step_dispatches_again_deploys_into_the_same_environment() {
    let told = |inputs: &str| {
        let flow = format!(
            "on: {{ push: {{ branches: [main] }}, workflow_dispatch: {{ inputs: {{ version: {{}}{inputs} }} }} }}\npermissions: {{ actions: write }}\njobs:\n  live:\n    runs-on: ubuntu-latest\n    environment: ${{{{ inputs.env || 'prod' }}}}\n    steps:\n      - uses: actions/checkout@v4\n        with: {{ ref: '${{{{ inputs.version || github.sha }}}}' }}\n      - run: railway up\n"
        );
        back(&flow, &[])
    };
    let with_env = told(", env: { type: choice, options: [dev, prod], default: dev }");
    assert!(
        with_env.ends_with("-f version=\"$good\" -f env=prod"),
        "{with_env}"
    );
    // What a push leaves empty and a dispatch fills may do something else.
    let dry = told(
        ", env: { type: choice, options: [dev, prod] }, dry-run: { type: boolean, default: true }",
    );
    assert!(
        dry.contains("none is written") && dry.contains("-f version=EARLIER -f env=prod"),
        "{dry}"
    );
}
