//! What programs that print write.

/// More lines than such a text has.
const MAX_ROUNDS: usize = 200;

/// What `echo` or `printf` writes with these arguments.
pub fn printed(name: &str, arguments: &[String]) -> String {
    let text = match arguments.split_first() {
        Some((form, values)) if name == "printf" && !values.is_empty() => {
            let (first, parts) = (form.split("%s").next(), form.split("%s").skip(1));
            let parts: Vec<&str> = parts.collect();
            // The form is written again until it has written every value.
            let rounds = values.chunks(parts.len().max(1)).map(|values| {
                let filled = parts.iter().zip(values);
                let filled = filled.map(|(part, value)| format!("{value}{part}"));
                first.unwrap_or_default().to_owned() + &filled.collect::<String>()
            });
            rounds
                .take(if parts.is_empty() { 1 } else { MAX_ROUNDS })
                .collect()
        }
        _ => {
            let is_option =
                |word: &&String| matches!(word.as_str(), "-e" | "-n" | "-E" | "-en" | "-ne");
            let words: Vec<&str> = { arguments.iter() }
                .skip_while(is_option)
                .map(String::as_str)
                .collect();
            words.join(if name == "echo" { " " } else { "\n" })
        }
    };
    text.replace("\\n", "\n")
}
