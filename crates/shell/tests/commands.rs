//! Programs as people write them into workflows, and the commands that come out.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

use shell::{Input, Program};

fn commands(text: &str) -> Vec<String> {
    let lookup = |name: &str| (name == "TAG").then(|| "v1".to_owned());
    let mut program = Program::new(text);
    let mut all = Vec::new();
    while let Some(command) = program.next(&lookup) {
        let words: Vec<_> = command.words.iter().map(|word| &*word.text).collect();
        let set: Vec<_> = (command.assignments.iter())
            .map(|(name, value)| format!("{name}={value} "))
            .collect();
        let input = match &command.input {
            Some(Input::Text(word)) => format!(" <<{}@{}", word.text.trim_end(), word.line),
            Some(Input::File(file)) => format!(" <{file}"),
            None => String::new(),
        };
        let pipe = if command.piped { "| " } else { "" };
        all.push(format!(
            "{}: {pipe}{}{}{input}",
            command.line,
            set.concat(),
            words.join(" ")
        ));
    }
    all
}

#[test]
fn commands_with_their_lines_and_variables() {
    let text = "set -e # stop\ncd /opt/shop && TAG=$TAG docker compose \\\n  -f a.yml up -d\n\
                if [[ -f x ]]; then sudo -n systemctl restart \"shop-$TAG\"; fi\n";
    assert_eq!(
        commands(text),
        [
            "0: set -e",
            "1: cd /opt/shop",
            "1: TAG=v1 docker compose -f a.yml up -d",
            "3: [[ -f x ]]",
            "3: systemctl restart shop-v1",
        ]
    );
}

#[test]
fn a_program_for_another_machine_is_one_word_or_a_here_document() {
    let text = "ssh \"a@$HOST\" \"\n  cd x\n  run $TAG \\$TAG\n\"\nssh b 'bash -s' <<'EOF'\ncd $TAG\nEOF\n\
                ssh c <<-END\n\tgo $TAG\n\tEND\ncat deploy.sh | ssh d bash\nssh e bash < x.sh\n";
    assert_eq!(
        commands(text),
        [
            "0: ssh a@$HOST \n  cd x\n  run v1 $TAG\n",
            "4: ssh b bash -s <<cd $TAG@5",
            "7: ssh c <<go v1@8",
            "10: cat deploy.sh",
            "10: | ssh d bash",
            "11: ssh e bash <x.sh",
        ]
    );
}

#[test]
fn what_is_substituted_is_run_too() {
    let text = "id=$(aws deploy create-deployment --name x \\\n --group y)\nkamal deploy --version \"$(git rev-parse HEAD)\"\n";
    assert_eq!(
        commands(text),
        [
            "0: aws deploy create-deployment --name x --group y",
            "0: id=$(aws deploy create-deployment --name x \\\n --group y) ",
            "2: git rev-parse HEAD",
            "2: kamal deploy --version ${{ github.sha }}",
        ]
    );
}

#[test]
fn expressions_and_defaults_stay_whole() {
    let text = "echo ${{ a || 'b c' }}x ${TAG} ${NO:-d} ${NO} \"${TAG:?no}\" $1 2>&1 >out\n";
    assert_eq!(
        commands(text),
        ["0: echo ${{ a || 'b c' }}x v1 d ${NO} v1 $1"]
    );
}

#[test]
fn groups_functions_and_patterns() {
    let text = "(umask 077 && printf %s \"$TAG\" > ~/.ssh/key)\nup() {\n  go on\n}\n\
                case $1 in\n  start) go up ;;\nesac\n(cd x; run)\n";
    assert_eq!(
        commands(text),
        [
            "0: umask 077",
            "0: printf %s v1",
            "2: go on",
            "5: go up",
            "7: cd x",
            "7: run",
        ]
    );
}

#[test]
fn texts_that_are_no_program_end() {
    for text in [
        "((((", "\"", "$(", "<<", "<<EOF", "`", "\\", "a )b( c", "$((1+", "${a{b", "'",
    ] {
        commands(text);
    }
    let deep = "$(".repeat(10_000);
    commands(&deep);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic_or_stay(text in "[ -~é€\u{0}\t\n]{0,300}") {
        commands(&text);
    }

    #[test]
    fn nothing_of_a_shell_makes_it_stay(parts in proptest::collection::vec(
        proptest::sample::select(vec!["$(", ")", "`", "'", "\"", "${", "}", "${{", "}}", "<<E", "\nE\n", "<<<", "|", "||", "&&", ";", "\\", "\n", "#", "a", " ", "=", "((", "))", "$((", "<(", ">&", "if ", "for ", "sudo ", "env "]),
        0..60,
    )) {
        commands(&parts.concat());
    }
}

#[test]
fn the_elements_of_an_array_are_words_of_their_own() {
    let text = "run=(docker compose -f a.yml)\nrun+=(-p \"my shop\")\n\"${run[@]}\" up -d\n";
    let known = std::cell::RefCell::new(std::collections::BTreeMap::<String, String>::new());
    let mut program = Program::new(text);
    let mut last = Vec::new();
    while let Some(command) = program.next(&|name| known.borrow().get(name).cloned()) {
        known.borrow_mut().extend(command.assignments);
        last = command.words.into_iter().map(|word| word.text).collect();
    }
    assert_eq!(
        last,
        [
            "docker", "compose", "-f", "a.yml", "-p", "my shop", "up", "-d"
        ]
    );
    // What is not known stays as it is written, and what does not end is read to its end.
    assert_eq!(commands("\"${run[@]}\" up"), ["0: ${run[@]} up"]);
    assert_eq!(commands("a=(b c"), ["0: a=b\u{1f}c "]);
}

#[test]
fn what_is_quoted_for_another_shell_is_the_same_there() {
    let text = "ssh box \"APP=$(printf '%q' \"$TAG\") sh -s\"";
    let all = commands(text);
    assert_eq!(all.last().unwrap(), "0: ssh box APP=v1 sh -s");
}

#[test]
fn what_only_loses_blanks_is_the_same_text() {
    for (printed, expected) in [
        ("printf '%s' \"$TAG\" | tr -d '\\r'", "v1"),
        ("echo -n \"$TAG\" | tr -d '[:space:]'", "v1"),
        ("echo $TAG | xargs", "v1"),
        ("echo $TAG", "v1"),
        ("echo $TAG | tr -d 'v'", "$(echo $TAG | tr -d 'v')"),
        ("echo $TAG | cut -c1", "$(echo $TAG | cut -c1)"),
        ("echo $TAG; date", "$(echo $TAG; date)"),
    ] {
        let all = commands(&format!("up \"$({printed})\""));
        assert_eq!(all.last().unwrap(), &format!("0: up {expected}"));
    }
}
