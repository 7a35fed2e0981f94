//! Text that others wrote, made fit to be shown: on one line, and read in the order in which it is written.

/// Whether a character would break a line, move a terminal's cursor, or turn the direction in which the text around it
/// is read (Unicode control characters, line and paragraph separators, and the bidirectional controls of UAX #9).
pub fn is_disruptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{2028}' | '\u{2029}'
            | '\u{061c}' | '\u{200e}' | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}')
}

/// The text with a space for each character that [disrupts](is_disruptive).
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if is_disruptive(c) { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_lines_or_turns_the_text_is_blank() {
        let hostile = "a\nb\r\n\tc\u{1b}[31md\u{2028}e\u{202e}f\u{2066}g\u{85}h";
        assert_eq!(one_line(hostile), "a b   c [31md e f g h");
        assert_eq!(one_line("größe 漢字 🙂 עברית"), "größe 漢字 🙂 עברית");
    }
}
