//! Every text of an error in our crates, as it is written: a reviewer reads a new one in the diff.

use std::fmt::Write as _;

use crate::snapshots::source::{error_texts, source_files};

#[test]
fn the_text_of_every_error() {
    let (mut shown, mut count) = (String::new(), 0);
    for (file, tokens) in source_files() {
        for (name, variants) in error_texts(tokens) {
            writeln!(shown, "{file}: {name}").unwrap();
            for (variant, text) in variants {
                count += 1;
                writeln!(shown, "    {variant}: {text}").unwrap();
            }
        }
    }
    assert!(count > 500, "only {count} were found");
    insta::assert_snapshot!(shown);
}
