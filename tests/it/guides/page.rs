//! What a guide asks its reader to do: the fenced blocks of a page, in order. Nothing is run here.
//!
//! | a block that begins with | means |
//! |---|---|
//! | `sh` | commands to run |
//! | `text`, right behind commands | what they print; `…` stands for any text, on a line of its own for any lines |
//! | any language and `file=PATH` | a file to write |
//! | `diff` and `file=PATH` | lines of it to change: those with `-` go, those with `+` come; `@@` parts two places |
//! | any language and `add=PATH` | what to put at the end of a file |
//! | any other language | something to look at |

/// One thing to do, with the line of the page where it begins.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    pub line: usize,
    pub action: Action,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    Run(String),
    /// What the commands before it print.
    Expect(String),
    Write(String, String),
    Change(String, String),
    Add(String, String),
}

/// The part of a page under a heading of the second level.
pub fn section<'a>(page: &'a str, heading: &str) -> Option<&'a str> {
    let start = page.find(&format!("\n## {heading}\n"))? + 1;
    let rest = &page[start..];
    let end = rest[1..].find("\n## ").map_or(rest.len(), |at| at + 1);
    Some(&rest[..end])
}

/// The steps of a page, or what is wrong with its blocks.
pub fn steps(page: &str) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    let mut follows_commands = false;
    let mut lines = page.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let Some(info) = line.trim_start().strip_prefix("```") else {
            continue;
        };
        if line.starts_with(' ') {
            return Err(format!("line {}: a block must not be indented", at + 1));
        }
        let mut text = String::new();
        loop {
            match lines.next() {
                Some((_, "```")) => break,
                Some((_, inside)) => text.push_str(&format!("{inside}\n")),
                None => return Err(format!("line {}: the block does not end", at + 1)),
            }
        }
        let action = action(info, text, follows_commands).map_err(|wrong| format!("line {}: {wrong}", at + 1))?;
        follows_commands = matches!(action, Some(Action::Run(_)));
        steps.extend(action.map(|action| Step { line: at + 1, action }));
    }
    Ok(steps)
}

fn action(info: &str, text: String, follows_commands: bool) -> Result<Option<Action>, String> {
    let mut words = info.split_whitespace();
    let language = words.next().unwrap_or_default();
    let place = words.next().map(|word| match word.split_once('=') {
        Some((what @ ("file" | "add"), path)) if is_inside(path) => Ok((what, path.to_owned())),
        _ => Err(format!(
            "`{word}` is neither `file=PATH` nor `add=PATH` with a path inside the folder"
        )),
    });
    Ok(match (language, place.transpose()?) {
        ("sh", None) => Some(Action::Run(text)),
        ("text", None) if follows_commands => Some(Action::Expect(text)),
        ("text", None) => return Err("`text` is what commands print, and there are none right before it".to_owned()),
        ("bash" | "shell" | "console" | "", _) => return Err("commands stand in blocks of `sh`".to_owned()),
        ("diff", Some(("file", path))) => Some(Action::Change(path, text)),
        ("diff", _) => return Err("`diff` needs `file=PATH`".to_owned()),
        (_, Some(("add", path))) => Some(Action::Add(path, text)),
        (_, Some((_, path))) => Some(Action::Write(path, text)),
        (_, None) => None,
    })
}

fn is_inside(path: &str) -> bool {
    let mut parts = std::path::Path::new(path).components();
    !path.is_empty() && parts.all(|part| matches!(part, std::path::Component::Normal(_)))
}

/// A text after the changes of a `diff` block, each of which must fit in exactly one place.
pub fn changed(text: &str, diff: &str) -> Result<String, String> {
    let mut text = format!("\n{text}");
    for hunk in diff.split("@@\n") {
        let (mut old, mut new) = ("\n".to_owned(), "\n".to_owned());
        for line in hunk.lines() {
            let (mark, rest) = line.split_at(line.len().min(1));
            match mark {
                "-" => old.push_str(&format!("{rest}\n")),
                "+" => new.push_str(&format!("{rest}\n")),
                " " | "" => {
                    old.push_str(&format!("{rest}\n"));
                    new.push_str(&format!("{rest}\n"));
                }
                _ => return Err(format!("`{line}` begins neither with a space nor with `+` or `-`")),
            }
        }
        match text.matches(old.as_str()).count() {
            1 => text = text.replacen(&old, &new, 1),
            count => {
                return Err(format!(
                    "these lines are there {count} times, and must be there once:{old}"
                ));
            }
        }
    }
    Ok(text.split_off(1))
}

/// Whether commands printed what a block says.
pub fn fits(expected: &str, printed: &str) -> bool {
    let lines =
        |text: &str| -> Vec<String> { text.trim_end().lines().map(|line| line.trim_end().to_owned()).collect() };
    lines_fit(&lines(expected), &lines(printed))
}

fn lines_fit(expected: &[String], printed: &[String]) -> bool {
    match expected.split_first() {
        None => printed.is_empty(),
        Some((any, rest)) if any == "…" => (0..=printed.len()).any(|skipped| lines_fit(rest, &printed[skipped..])),
        Some((line, rest)) => printed
            .split_first()
            .is_some_and(|(first, others)| line_fits(line, first) && lines_fit(rest, others)),
    }
}

fn line_fits(expected: &str, printed: &str) -> bool {
    let Some((start, rest)) = expected.split_once('…') else {
        return expected == printed;
    };
    let Some(printed) = printed.strip_prefix(start) else {
        return false;
    };
    let places = printed.char_indices().map(|(at, _)| at).chain([printed.len()]);
    places.into_iter().any(|at| line_fits(rest, &printed[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_become_steps_in_their_order() {
        let page = "# A\n\n```sh\nls\n```\n\nprints\n\n```text\na\n```\n\n```rust,ignore file=src/lib.rs\nfn\n```\n\
            \n```json\n{}\n```\n\n```toml add=registry.toml\nx = 1\n```\n\n```diff file=a\n-b\n```\n";
        let found = steps(page).unwrap();
        let line = |text: &str| format!("{text}\n");
        let expected = [
            (3, Action::Run(line("ls"))),
            (9, Action::Expect(line("a"))),
            (13, Action::Write("src/lib.rs".to_owned(), line("fn"))),
            (21, Action::Add("registry.toml".to_owned(), line("x = 1"))),
            (25, Action::Change("a".to_owned(), line("-b"))),
        ];
        assert_eq!(found, expected.map(|(line, action)| Step { line, action }));
    }

    #[test]
    fn a_block_that_would_not_be_run_as_meant_is_refused() {
        for (page, wrong) in [
            ("```text\na\n```\n", "none right before"),
            ("```bash\nls\n```\n", "blocks of `sh`"),
            ("```\nls\n```\n", "blocks of `sh`"),
            ("```sh\nls\n", "does not end"),
            ("- a\n  ```sh\n  ls\n  ```\n", "indented"),
            ("```rust file=../x\n```\n", "inside the folder"),
            ("```rust into=x\n```\n", "inside the folder"),
            ("```diff\n-a\n```\n", "file=PATH"),
        ] {
            let refused = steps(page).unwrap_err();
            assert!(refused.contains(wrong), "{page}: {refused}");
        }
    }

    #[test]
    fn a_section_ends_where_the_next_one_begins() {
        let page = "# A\n\n## B\n\nb\n\n### C\n\n## D\n\nd\n";
        assert_eq!(section(page, "B"), Some("## B\n\nb\n\n### C\n"));
        assert_eq!(section(page, "D"), Some("## D\n\nd\n"));
        assert_eq!(section(page, "C"), None);
    }

    #[test]
    fn a_change_fits_in_exactly_one_place() {
        let text = "a\nb\n\nc\nd\n";
        assert_eq!(
            changed(text, " a\n-b\n+B\n\n c\n@@\n d\n+e\n").unwrap(),
            "a\nB\n\nc\nd\ne\n"
        );
        for (diff, wrong) in [("-x\n", "0 times"), ("~a\n", "begins neither")] {
            assert!(changed(text, diff).unwrap_err().contains(wrong), "{diff}");
        }
        assert!(changed("a\nb\na\n", "-a\n").unwrap_err().contains("2 times"));
    }

    #[test]
    fn any_text_stands_for_text_and_alone_for_lines() {
        for (expected, printed, fit) in [
            ("a\n", "a  \n\n", true),
            ("a\n", "a\nb\n", false),
            ("a\n", "", false),
            ("a … c\n", "a b c\n", true),
            ("a … c\n", "a b\nc\n", false),
            ("…\nc\n", "a\nb\nc\n", true),
            ("a\n…\n", "a\n", true),
            ("a\n…\nb\n…\n", "a\nx\nb\ny\n", true),
            ("a\n…\nb\n", "a\nx\n", false),
            ("…b…\n", "abc\n", true),
            ("…b\n", "abc\n", false),
        ] {
            assert_eq!(fits(expected, printed), fit, "{expected:?} {printed:?}");
        }
    }
}
