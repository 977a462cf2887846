//! A document as its reader meets it: blocks, headings, links, and words in code.

use std::fs;
use std::path::Path;

/// A Markdown file of the repository.
pub(crate) struct Page {
    /// Its path below the repository's root.
    pub(crate) name: String,
    pub(crate) blocks: Vec<Block>,
    /// The text outside of blocks: a paragraph each, as in the file.
    pub(crate) prose: Vec<String>,
    pub(crate) headings: Vec<String>,
}

/// A fenced block.
#[derive(Clone)]
pub(crate) struct Block {
    pub(crate) page: String,
    pub(crate) line: usize,
    pub(crate) language: String,
    pub(crate) text: String,
}

impl Block {
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.page, self.line)
    }
}

/// Every document for readers.
pub(crate) fn pages() -> Vec<Page> {
    let root = testkit::workspace();
    let mut names: Vec<String> = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
        .map(str::to_owned)
        .into();
    for folder in ["docs", "examples", "action"] {
        below(root, folder, &mut names);
    }
    names.sort();
    names.iter().map(|name| page(name)).collect()
}

fn below(root: &Path, folder: &str, names: &mut Vec<String>) {
    for entry in fs::read_dir(root.join(folder)).unwrap().flatten() {
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            below(root, &name, names);
        } else if entry.path().extension().is_some_and(|kind| kind == "md") {
            names.push(name);
        }
    }
}

pub(crate) fn page(name: &str) -> Page {
    let text = fs::read_to_string(testkit::workspace().join(name)).unwrap();
    let mut page = Page {
        name: name.to_owned(),
        blocks: Vec::new(),
        prose: vec![String::new()],
        headings: Vec::new(),
    };
    // The block that is open, and the backticks that end it.
    let mut open: Option<(Block, String)> = None;
    for (n, line) in text.lines().enumerate() {
        if let Some((block, fence)) = &mut open {
            if line.trim() == fence {
                page.blocks.push(block.clone());
                open = None;
            } else {
                block.text.push_str(line);
                block.text.push('\n');
            }
            continue;
        }
        let rest = line.trim_start_matches('`');
        let ticks = line.len() - rest.len();
        if ticks >= 3 {
            let block = Block {
                page: name.to_owned(),
                line: n + 1,
                language: rest.trim().to_owned(),
                text: String::new(),
            };
            open = Some((block, "`".repeat(ticks)));
            continue;
        }
        assert!(
            !line.trim_start().starts_with("```"),
            "{name}:{}: a block that is indented is not read here",
            n + 1
        );
        if line.starts_with('#') {
            page.headings
                .push(line.trim_start_matches('#').trim().to_owned());
        }
        if line.trim().is_empty() || line.starts_with('#') {
            page.prose.push(String::new());
        }
        let paragraph = page.prose.last_mut().unwrap();
        paragraph.push_str(line);
        paragraph.push('\n');
    }
    assert!(open.is_none(), "{name}: its last block has no end");
    page
}

impl Page {
    /// The text between backticks, on one line each.
    pub(crate) fn code(&self) -> Vec<String> {
        let mut found = Vec::new();
        for paragraph in &self.prose {
            spans(paragraph, |code| found.push(code.replace('\n', " ")));
        }
        found
    }

    /// Where its links and pictures lead.
    pub(crate) fn links(&self) -> Vec<String> {
        let link = regex::Regex::new(r"\]\(\s*<?([^)\s>]+)").unwrap();
        let prose = self
            .prose
            .iter()
            .map(|paragraph| spans(paragraph, |_| ()))
            .collect::<String>();
        link.captures_iter(&prose)
            .map(|found| found[1].to_owned())
            .collect()
    }

    /// The anchors of its headings, as GitHub makes them.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let mut anchors: Vec<String> = Vec::new();
        for heading in &self.headings {
            let heading = heading.to_lowercase();
            let kept = heading.chars();
            let kept = kept.filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            let slug = kept.collect::<String>().replace(' ', "-");
            let again = |anchor: &&String| {
                **anchor == slug
                    || anchor
                        .strip_prefix(&format!("{slug}-"))
                        .is_some_and(|rest| rest.parse::<u32>().is_ok())
            };
            let before = anchors.iter().filter(again).count();
            anchors.push(if before == 0 {
                slug
            } else {
                format!("{slug}-{before}")
            });
        }
        anchors
    }
}

/// Hands over each code span of a paragraph; the paragraph without them.
fn spans(paragraph: &str, mut see: impl FnMut(&str)) -> String {
    let mut without = String::new();
    let mut rest = paragraph;
    while let Some(at) = rest.find('`') {
        without.push_str(&rest[..at]);
        let ticks = rest[at..].len() - rest[at..].trim_start_matches('`').len();
        let (fence, inner) = rest[at..].split_at(ticks);
        let Some(end) = inner.find(fence) else {
            rest = inner;
            continue;
        };
        see(inner[..end].trim());
        rest = &inner[end + ticks..];
    }
    without + rest
}
