//! Checking a message by its plan.

use std::collections::{HashMap, HashSet};

use super::wire::{Fields, Value};
use super::{FieldPlan, Plan, Presence, Range, Rule};
use crate::contract::Violation;

type Plans = HashMap<String, Plan>;

/// Where a message is within the request.
#[derive(Clone, Copy)]
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    name: &'a str,
    index: Option<usize>,
}

impl Path<'_> {
    fn text(&self) -> String {
        let before = self.parent.map(|parent| parent.text() + ".").unwrap_or_default();
        match self.index {
            Some(index) => format!("{before}{}[{index}]", self.name),
            None => before + self.name,
        }
    }
}

/// What was found of one field: its last value, and where its first begins and its last ends.
#[derive(Clone, Copy)]
struct Slot<'a> {
    value: Value<'a>,
    count: u64,
    start: usize,
    end: usize,
}

const ABSENT: Slot<'_> = Slot { value: Value::Number(0), count: 0, start: 0, end: 0 };

pub(super) fn violations(plans: &Plans, message: &str, canonical: &[u8]) -> Vec<Violation> {
    let mut found = Vec::new();
    check(plans, message, canonical, None, &mut found);
    found
}

fn check(plans: &Plans, message: &str, encoded: &[u8], parent: Option<&Path<'_>>, found: &mut Vec<Violation>) {
    // Without a plan it has no rules.
    let Some(plan) = plans.get(message) else { return };
    let slots = slots(plan, encoded);
    for oneof in &plan.oneofs {
        let set = |number: &u32| {
            plan.fields.iter().zip(&slots).any(|(field, slot)| field.number == *number && slot.count > 0)
        };
        if !oneof.numbers.iter().any(set) {
            let path = Path { parent, name: &oneof.name, index: None };
            found.push(violation(&path, "required", "exactly one field is required in oneof".to_owned()));
        }
    }
    for (field, slot) in plan.fields.iter().zip(&slots) {
        let elements = || Fields::of(&encoded[slot.start..slot.end]).filter(|(number, _)| *number == field.number);
        let path = Path { parent, name: &field.name, index: None };
        if slot.count == 0 && field.required {
            found.push(violation(&path, "required", "value is required".to_owned()));
        } else if applies(field, slot) {
            for rule in &field.rules {
                if let Some((rule, message)) = broken(rule, slot, elements().map(|(_, value)| value.bytes())) {
                    found.push(violation(&path, rule, message));
                }
            }
            for (index, (_, value)) in elements().enumerate() {
                let path = Path { index: (field.presence == Presence::List).then_some(index), ..path };
                let one = Slot { value, ..*slot };
                for rule in &field.items {
                    if let Some((rule, message)) = broken(rule, &one, std::iter::empty()) {
                        found.push(violation(&path, rule, message));
                    }
                }
                if let Some(message) = &field.message {
                    check(plans, message, value.bytes(), Some(&path), found);
                }
            }
        }
    }
}

/// Whether there is a value for rules to speak of: zero is one where it is not told apart from being absent.
fn applies(field: &FieldPlan, slot: &Slot<'_>) -> bool {
    let zero = slot.count == 0
        || (field.presence != Presence::List && slot.value.number() == 0 && slot.value.bytes().is_empty());
    if field.ignore_zero { !zero } else { slot.count > 0 || field.presence != Presence::Explicit }
}

fn slots<'a>(plan: &Plan, encoded: &'a [u8]) -> Vec<Slot<'a>> {
    let mut slots = vec![ABSENT; plan.fields.len()];
    let mut fields = Fields::of(encoded);
    let mut start = 0;
    while let Some((number, value)) = fields.next() {
        let end = encoded.len() - fields.rest().len();
        if let Some(index) = plan.fields.iter().position(|field| field.number == number) {
            let slot = &mut slots[index];
            let first = if slot.count == 0 { start } else { slot.start };
            *slot = Slot { value, count: slot.count + 1, start: first, end };
        }
        start = end;
    }
    slots
}

/// The id and the message of a rule that does not hold. `elements` are those of a list.
fn broken<'a>(
    rule: &'a Rule,
    slot: &Slot<'a>,
    mut elements: impl Iterator<Item = &'a [u8]>,
) -> Option<(&'a str, String)> {
    let bytes = slot.value.bytes();
    let size = bytes.len() as u64;
    let number = slot.value.number().cast_signed();
    let characters = || String::from_utf8_lossy(bytes).chars().count() as u64;
    // Nothing is written for a rule that holds.
    let is = |broken: bool, rule: &'a str, message: &dyn Fn() -> String| broken.then(|| (rule, message()));
    match rule {
        Rule::Len(wanted) => is(characters() != *wanted, "string.len", &|| format!("must be {wanted} characters")),
        Rule::MinLen(least) => {
            is(characters() < *least, "string.min_len", &|| format!("must be at least {least} characters"))
        }
        // No text has more characters than bytes.
        Rule::MaxLen(most) if size <= *most => None,
        Rule::MaxLen(most) => {
            is(characters() > *most, "string.max_len", &|| format!("must be at most {most} characters"))
        }
        Rule::Uuid if bytes.is_empty() => {
            Some(("string.uuid_empty", "value is empty, which is not a valid UUID".to_owned()))
        }
        Rule::Uuid => is(!is_uuid(bytes), "string.uuid", &|| "must be a valid UUID".to_owned()),
        Rule::BytesLen(wanted) => is(size != *wanted, "bytes.len", &|| format!("must be {wanted} bytes")),
        Rule::BytesMinLen(least) => is(size < *least, "bytes.min_len", &|| format!("must be at least {least} bytes")),
        Rule::BytesMaxLen(most) => is(size > *most, "bytes.max_len", &|| format!("must be at most {most} bytes")),
        Rule::MinItems(least) => {
            is(slot.count < *least, "repeated.min_items", &|| format!("must contain at least {least} item(s)"))
        }
        Rule::MaxItems(most) => {
            is(slot.count > *most, "repeated.max_items", &|| format!("must contain no more than {most} item(s)"))
        }
        Rule::Unique => {
            let mut seen = HashSet::new();
            let twice = elements.any(|element| !seen.insert(element));
            is(twice, "repeated.unique", &|| "repeated value must contain unique items".to_owned())
        }
        Rule::Range(range) => (!holds(range, number)).then(|| (range.rule.as_str(), range.message.clone())),
        Rule::DefinedOnly(known) => is(!known.contains(&number), "enum.defined_only", &|| {
            "value must be one of the defined enum values".to_owned()
        }),
        Rule::EnumIn(listed) => {
            is(!listed.contains(&number), "enum.in", &|| format!("must be in list {}", shown(listed)))
        }
        Rule::EnumNotIn(refused) => {
            is(refused.contains(&number), "enum.not_in", &|| format!("must not be in list {}", shown(refused)))
        }
    }
}

fn holds(range: &Range, value: i64) -> bool {
    let above = range.low.map(|low| value > low.value || (low.inclusive && value == low.value));
    let below = range.high.map(|high| value < high.value || (high.inclusive && value == high.value));
    match (above, below, range.low, range.high) {
        (Some(above), Some(below), Some(low), Some(high)) if high.value < low.value => above || below,
        _ => above.unwrap_or(true) && below.unwrap_or(true),
    }
}

fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn shown(numbers: &[i64]) -> String {
    let texts: Vec<String> = numbers.iter().map(i64::to_string).collect();
    format!("[{}]", texts.join(", "))
}

fn violation(path: &Path<'_>, rule: &str, message: String) -> Violation {
    Violation { field: path.text(), rule: rule.to_owned(), message }
}
