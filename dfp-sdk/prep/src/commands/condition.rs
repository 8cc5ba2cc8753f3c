//! Tests of records, before they are events.

use super::rules::Condition;
use crate::input::Input;

/// Takes out of `passing` the rows that do not pass a test of their column.
pub(super) fn pass(condition: &Condition, input: Input<'_>, passing: &mut [bool]) {
    let (mut scratch, mut lower) = (String::new(), String::new());
    let folded = |text: &Option<String>| text.as_ref().map(|text| text.to_lowercase());
    let (start, part) = (folded(&condition.starts_with), folded(&condition.contains));
    for (row, passes) in passing.iter_mut().enumerate().filter(|(_, passes)| **passes) {
        let text = input.text(row, &mut scratch).unwrap_or_default();
        let matches = if let Some(texts) = &condition.one_of {
            texts.iter().any(|one| one == text)
        } else {
            lower.clear();
            lower.extend(text.chars().flat_map(char::to_lowercase));
            start.as_ref().is_some_and(|start| lower.starts_with(start))
                || part.as_ref().is_some_and(|part| lower.contains(part))
        };
        *passes = matches != condition.not;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::StringArray;

    #[test]
    fn cases_are_folded_and_missing_is_empty() {
        let texts =
            StringArray::from(vec![Some("NT Authority\\X"), Some("ann@Prod.Outlook.com"), Some(""), None]);
        let passing = |condition: &str| {
            let condition: Condition = toml::from_str(condition).unwrap();
            let mut passing = vec![true; 4];
            pass(&condition, Input::Text(&texts), &mut passing);
            passing
        };
        for (condition, expected) in [
            ("starts_with = \"nt AUTHORITY\"", [true, false, false, false]),
            ("not = true\nstarts_with = \"nt AUTHORITY\"", [false, true, true, true]),
            ("contains = \"prod.outlook.com\"", [false, true, false, false]),
            ("one_of = [\"\"]", [false, false, true, true]),
            ("not = true\none_of = [\"\", \"ANN@prod.outlook.com\"]", [true, true, false, false]),
        ] {
            assert_eq!(passing(&format!("column = \"c\"\n{condition}")), expected, "{condition}");
        }
        let mut passing = [false, true];
        let condition: Condition = toml::from_str("column = \"c\"\none_of = [\"\"]").unwrap();
        pass(&condition, Input::Absent, &mut passing);
        assert_eq!(passing, [false, true]);
    }
}
