//! char(n) without its padding, and LIKE.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryBuilder, BooleanArray, StringArray, StringBuilder};
use arrow::compute::kernels::comparison;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs};

use super::kernel::{null, unexpected_type, wrong_arity};
use crate::error::{Error, sqlstate};

/// A char(n) value as it compares: without trailing blanks, and blanks alone.
pub(super) fn trim(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let [argument] = args.args.as_slice() else { return Err(wrong_arity(args.args.len()).into()) };
    match argument {
        ColumnarValue::Scalar(ScalarValue::Utf8(text)) => {
            Ok(ColumnarValue::Scalar(ScalarValue::Utf8(text.as_ref().map(|text| text.trim_end_matches(' ').into()))))
        }
        ColumnarValue::Scalar(ScalarValue::Binary(bytes)) => {
            Ok(ColumnarValue::Scalar(ScalarValue::Binary(bytes.as_deref().map(|bytes| unpadded(bytes).into()))))
        }
        ColumnarValue::Array(array) if *array.data_type() == DataType::Binary => {
            let values = array.as_binary::<i32>();
            let offsets = values.value_offsets();
            let bytes = offsets[values.len()] - offsets[0];
            let mut trimmed = BinaryBuilder::with_capacity(values.len(), bytes as usize);
            for value in values {
                trimmed.append_option(value.map(unpadded));
            }
            Ok(ColumnarValue::Array(Arc::new(trimmed.finish())))
        }
        ColumnarValue::Array(array) => {
            let strings = strings(array.as_ref())?;
            let padded = (0..strings.len())
                .any(|row| strings.is_valid(row) && strings.value(row).as_bytes().last() == Some(&b' '));
            if !padded {
                return Ok(argument.clone());
            }
            // At most what it holds; of a slice, the part that it shows.
            let offsets = strings.value_offsets();
            let bytes = offsets[strings.len()] - offsets[0];
            let mut trimmed = StringBuilder::with_capacity(strings.len(), bytes as usize);
            for text in strings {
                trimmed.append_option(text.map(|text| text.trim_end_matches(' ')));
            }
            Ok(ColumnarValue::Array(Arc::new(trimmed.finish())))
        }
        ColumnarValue::Scalar(other) => Err(unexpected_type(&other.data_type()).into()),
    }
}

/// In whatever encoding the server has: no byte of another character is a blank there.
fn unpadded(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' '] = bytes {
        bytes = rest;
    }
    bytes
}

fn strings(array: &dyn Array) -> Result<&StringArray> {
    Ok(array.as_string_opt::<i32>().ok_or_else(|| unexpected_type(array.data_type()))?)
}

/// `text LIKE pattern`, the pattern a constant.
pub(super) fn like(args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
    let [text, pattern] = args.args.as_slice() else { return Err(wrong_arity(args.args.len()).into()) };
    let pattern = match pattern {
        ColumnarValue::Scalar(ScalarValue::Utf8(Some(pattern))) => pattern,
        ColumnarValue::Scalar(ScalarValue::Utf8(None)) => return null(args),
        other => return Err(unexpected_type(&other.data_type()).into()),
    };
    let pattern = Pattern::parse(pattern).ok_or_else(|| {
        Error::new(sqlstate::INVALID_ESCAPE_SEQUENCE, "LIKE pattern must not end with escape character")
    })?;
    match text {
        ColumnarValue::Scalar(ScalarValue::Utf8(text)) => {
            Ok(ColumnarValue::Scalar(ScalarValue::Boolean(text.as_ref().map(|text| pattern.matches(text.as_bytes())))))
        }
        ColumnarValue::Array(array) => {
            let array = strings(array.as_ref())?;
            let result = match pattern.infix() {
                Some(needle) => comparison::contains(array, &StringArray::new_scalar(needle))?,
                None => BooleanArray::from_unary(array, |text| pattern.matches(text.as_bytes())),
            };
            Ok(ColumnarValue::Array(Arc::new(result)))
        }
        ColumnarValue::Scalar(other) => Err(unexpected_type(&other.data_type()).into()),
    }
}

/// Does PostgreSQL accept the pattern whatever text it meets? (A lone escape at the end raises only
/// when matching gets that far.)
pub(in crate::plan) fn pattern_is_valid(pattern: &str) -> bool {
    Pattern::parse(pattern).is_some()
}

/// A LIKE pattern, cut at its `%`: "a%b_c%" is a, b_c and the empty piece. The first piece stands at
/// the start of the text and the last at its end; each one between them where it first occurs, which
/// leaves the most to those after it.
struct Pattern {
    pieces: Vec<Piece>,
}

struct Piece {
    parts: Vec<Part>,
    /// Of a piece that is one literal: how far the window moves on by its last byte (Horspool).
    skip: Option<Box<[u32; 256]>>,
}

enum Part {
    Literal(Vec<u8>),
    /// So many characters of any kind.
    Any(usize),
}

impl Pattern {
    /// None when it ends with a lone backslash.
    fn parse(pattern: &str) -> Option<Self> {
        let mut pieces = vec![];
        let mut parts: Vec<Part> = vec![];
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            match character {
                '%' => pieces.push(Piece::new(std::mem::take(&mut parts))),
                '_' => match parts.last_mut() {
                    Some(Part::Any(count)) => *count += 1,
                    _ => parts.push(Part::Any(1)),
                },
                _ => {
                    let literal = if character == '\\' { characters.next()? } else { character };
                    let mut buffer = [0; 4];
                    let bytes = literal.encode_utf8(&mut buffer).as_bytes();
                    match parts.last_mut() {
                        Some(Part::Literal(text)) => text.extend_from_slice(bytes),
                        _ => parts.push(Part::Literal(bytes.to_vec())),
                    }
                }
            }
        }
        pieces.push(Piece::new(parts));
        Some(Self { pieces })
    }

    /// x of "%x%", for which Arrow has a faster loop.
    fn infix(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [first, middle, last] if first.parts.is_empty() && last.parts.is_empty() => match middle.parts.as_slice() {
                [Part::Literal(text)] => std::str::from_utf8(text).ok(),
                _ => None,
            },
            _ => None,
        }
    }

    /// `text` is valid UTF-8, as everything in a StringArray.
    fn matches(&self, text: &[u8]) -> bool {
        let (first, rest) = match self.pieces.as_slice() {
            [] => return text.is_empty(),
            [only] => return only.match_at(text, 0) == Some(text.len()),
            [first, rest @ ..] => (first, rest),
        };
        let Some((last, middle)) = rest.split_last() else { return false };
        let Some(mut position) = first.match_at(text, 0) else { return false };
        for piece in middle {
            match piece.find(text, position) {
                Some(end) => position = end,
                None => return false,
            }
        }
        last.match_before(text, text.len()).is_some_and(|start| start >= position)
    }
}

/// The first byte of a character, that is, not one of those that continue it.
fn starts_character(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

impl Piece {
    fn new(parts: Vec<Part>) -> Self {
        let skip = match parts.as_slice() {
            [Part::Literal(text)] if text.len() > 1 => {
                let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
                let mut skip = Box::new([length; 256]);
                for (byte, distance) in text.iter().zip((1..length).rev()) {
                    skip[usize::from(*byte)] = distance;
                }
                Some(skip)
            }
            _ => None,
        };
        Self { parts, skip }
    }

    /// The end of the piece when it starts at `start`.
    fn match_at(&self, text: &[u8], start: usize) -> Option<usize> {
        let mut position = start;
        for part in &self.parts {
            match part {
                Part::Literal(literal) => {
                    text.get(position..)?.starts_with(literal).then_some(())?;
                    position += literal.len();
                }
                Part::Any(count) => {
                    for _ in 0..*count {
                        text.get(position)?;
                        position += 1;
                        while text.get(position).is_some_and(|byte| !starts_character(*byte)) {
                            position += 1;
                        }
                    }
                }
            }
        }
        Some(position)
    }

    /// The start of the piece when it ends at `end`.
    fn match_before(&self, text: &[u8], end: usize) -> Option<usize> {
        let mut position = end;
        for part in self.parts.iter().rev() {
            match part {
                Part::Literal(literal) => {
                    text.get(..position)?.ends_with(literal).then_some(())?;
                    position -= literal.len();
                }
                Part::Any(count) => {
                    for _ in 0..*count {
                        position = position.checked_sub(1)?;
                        while !starts_character(*text.get(position)?) {
                            position = position.checked_sub(1)?;
                        }
                    }
                }
            }
        }
        Some(position)
    }

    /// The end of the first occurrence at or after `from`.
    fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        if let (Some(skip), [Part::Literal(literal)]) = (&self.skip, self.parts.as_slice()) {
            let mut window = from;
            while let Some(candidate) = text.get(window..window + literal.len()) {
                if candidate == literal.as_slice() {
                    return Some(window + literal.len());
                }
                window += candidate.last().map_or(1, |byte| skip[usize::from(*byte)] as usize);
            }
            return None;
        }
        (from..=text.len())
            .filter(|start| text.get(*start).is_none_or(|byte| starts_character(*byte)))
            .find_map(|start| self.match_at(text, start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What PostgreSQL 15 answered, in a UTF8 database.
    #[test]
    fn like_as_postgres_does() {
        for (text, pattern, expected) in [
            ("", "", true),
            ("", "%", true),
            ("", "_", false),
            ("abc", "abc", true),
            ("abc", "ab", false),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "%b%", true),
            ("abc", "a_c", true),
            ("abc", "__", false),
            ("abc", "____", false),
            ("abc", "_%_%_", true),
            ("abc", "_%_%_%_", false),
            ("aba", "a%aba", false),
            ("abab", "ab%ab", true),
            ("ab", "ab%ab", false),
            ("aab", "%ab", true),
            ("xaaby", "%aab%", true),
            ("special packages requests", "%special%requests%", true),
            ("requests special", "%special%requests%", false),
            ("a\nb", "a_b", true),
            ("a\nb", "a%b", true),
            ("ä€😀", "___", true),
            ("ä€😀", "__", false),
            ("ä€😀", "%€_", true),
            ("ä€😀", "_€%", true),
            ("xä", "%_ä", true),
            ("ä", "%_ä", false),
            ("100%", r"100\%", true),
            ("1000", r"100\%", false),
            ("a_c", r"a\_c", true),
            ("abc", r"a\_c", false),
            (r"a\c", r"a\\c", true),
            ("abc", r"a\bc", true),
            (r"a\bc", r"a\bc", false),
            ("%", r"\%", true),
            ("%x", r"\%%", true),
            ("x%", r"%\%", true),
            ("ABC", "abc", false),
            ("aXbXc", "a%b%c", true),
            ("mississippi", "m%iss%ip_i", true),
            ("mississippi", "m%iss%iss%iss%", false),
            ("aaaaab", "%aab", true),
            ("ab  ", "ab", false),
            ("ab  ", "ab%", true),
            ("ab  ", "ab__", true),
            (".*", ".*", true),
            ("xx", ".*", false),
        ] {
            let parsed = Pattern::parse(pattern).expect("a valid pattern");
            assert_eq!(parsed.matches(text.as_bytes()), expected, "{text:?} LIKE {pattern:?}");
        }
    }

    #[test]
    fn a_lone_escape_at_the_end_is_no_pattern() {
        assert!(!pattern_is_valid("abc\\"));
        assert!(!pattern_is_valid("\\"));
        assert!(!pattern_is_valid(r"\\\"));
        assert!(pattern_is_valid(r"\\"));
    }
}
