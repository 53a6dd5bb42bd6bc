//! From the options of a message's fields to the plan of its check.

use std::collections::HashMap;

use super::wire::{Fields, Value};
use super::{Bound, FieldPlan, OneofPlan, Plan, Presence, Range, Rule};
use crate::contract::descriptor::{FieldType, MessageType};
use crate::contract::{ContractError, Contracts};

const REPEATED: i32 = 3;
const STRING: i32 = 9;
const MESSAGE: i32 = 11;
const BYTES: i32 = 12;

// Fields of buf.validate.FieldRules.
const INT32: u32 = 3;
const INT64: u32 = 4;
const STRINGS: u32 = 14;
const BYTE_STRINGS: u32 = 15;
const ENUM: u32 = 16;
const LIST: u32 = 18;
const REQUIRED: u32 = 25;
const IGNORE: u32 = 27;

const IGNORE_UNSPECIFIED: u64 = 0;
const IGNORE_IF_ZERO_VALUE: u64 = 1;

pub(super) fn learn(plans: &mut HashMap<String, Plan>, contracts: &Contracts, name: &str) -> Result<(), ContractError> {
    // The well-known types have no rules.
    if plans.contains_key(name) || name.starts_with("google.protobuf.") {
        return Ok(());
    }
    let message = contracts.messages.get(name).ok_or_else(|| ContractError(format!("no contract declares {name}")))?;
    let plan = plan(contracts, name, message)?;
    let inner: Vec<String> = plan.fields.iter().filter_map(|field| field.message.clone()).collect();
    plans.insert(name.to_owned(), plan);
    inner.iter().try_for_each(|each| learn(plans, contracts, each))
}

fn plan(contracts: &Contracts, name: &str, message: &MessageType) -> Result<Plan, ContractError> {
    if message.options.as_ref().is_some_and(|options| !options.rules.is_empty()) {
        return Err(unknown(name, "rules of the message as a whole"));
    }
    let mut plan = Plan::default();
    for (index, oneof) in message.oneofs.iter().enumerate() {
        let said = oneof.options.iter().flat_map(|options| &options.rules).flat_map(|rules| Fields::of(rules));
        let mut required = false;
        for (number, value) in said {
            match number {
                1 => required = value.number() != 0,
                _ => return Err(unknown(&format!("{name}.{}", oneof.name), &format!("rule {number} of oneofs"))),
            }
        }
        if required {
            let members = message.fields.iter().filter(|field| field.oneof == u32::try_from(index).ok());
            let numbers = members.map(|field| field.number).collect();
            plan.oneofs.push(OneofPlan { name: oneof.name.clone(), numbers });
        }
    }
    for field in &message.fields {
        let where_ = format!("{name}.{}", field.name);
        plan.fields.push(field_plan(contracts, &where_, field)?);
    }
    Ok(plan)
}

fn field_plan(contracts: &Contracts, where_: &str, field: &FieldType) -> Result<FieldPlan, ContractError> {
    let repeated = field.label == REPEATED;
    let type_name = field.type_name.trim_start_matches('.');
    let message = (field.kind == MESSAGE).then(|| type_name.to_owned());
    let mut plan = FieldPlan {
        name: field.name.clone(),
        number: field.number,
        presence: match repeated {
            true => Presence::List,
            false if message.is_some() || field.oneof.is_some() || field.proto3_optional => Presence::Explicit,
            false => Presence::Implicit,
        },
        required: false,
        ignore_zero: false,
        rules: Vec::new(),
        items: Vec::new(),
        message,
    };
    let entry = plan.message.as_ref().and_then(|name| contracts.messages.get(name));
    if let Some(entry) = entry.filter(|entry| entry.options.as_ref().is_some_and(|options| options.map_entry)) {
        if entry.fields.iter().any(|field| field.kind == MESSAGE) || field.options.is_some() {
            return Err(unknown(where_, "rules of maps, or within them"));
        }
        plan.message = None;
        return Ok(plan);
    }
    // Said in several statements, the options come in several pieces: together they are one message.
    let said: Vec<u8> = field.options.iter().flat_map(|options| options.rules.concat()).collect();
    for (number, value) in Fields::of(&said) {
        match (number, value) {
            (REQUIRED, value) => plan.required = value.number() != 0,
            (IGNORE, value) if value.number() == IGNORE_IF_ZERO_VALUE => plan.ignore_zero = true,
            (IGNORE, value) if value.number() == IGNORE_UNSPECIFIED => {}
            (LIST, Value::Bytes(_)) if repeated && [STRING, BYTES, MESSAGE].contains(&field.kind) => {}
            (INT32 | INT64 | STRINGS | BYTE_STRINGS | ENUM, Value::Bytes(_)) if !repeated => {}
            _ => return Err(unknown(where_, &format!("rule {number} of fields"))),
        }
    }
    let list = part(&said, LIST);
    for (number, value) in Fields::of(&list) {
        match number {
            1 => plan.rules.push(Rule::MinItems(value.number())),
            2 => plan.rules.push(Rule::MaxItems(value.number())),
            3 if value.number() != 0 && field.kind != MESSAGE => plan.rules.push(Rule::Unique),
            4 if [STRING, BYTES].contains(&field.kind) => {}
            _ => return Err(unknown(where_, &format!("rule {number} of lists"))),
        }
    }
    let items = part(&list, 4);
    if let Some((number, _)) = Fields::of(&items).find(|(number, _)| ![STRINGS, BYTE_STRINGS].contains(number)) {
        return Err(unknown(where_, &format!("rule {number} of elements")));
    }
    plan.items = values(contracts, where_, type_name, &items)?;
    plan.rules.extend(values(contracts, where_, type_name, &said)?);
    Ok(plan)
}

/// The rules of single values, by the type of the value.
fn values(contracts: &Contracts, where_: &str, type_name: &str, said: &[u8]) -> Result<Vec<Rule>, ContractError> {
    let mut rules = Vec::new();
    for (prefix, number) in [("int32", INT32), ("int64", INT64)] {
        rules.extend(range(where_, prefix, &part(said, number))?);
    }
    for (number, value) in Fields::of(&part(said, STRINGS)) {
        rules.push(match number {
            2 => Rule::MinLen(value.number()),
            3 => Rule::MaxLen(value.number()),
            19 => Rule::Len(value.number()),
            22 if value.number() != 0 => Rule::Uuid,
            _ => return Err(unknown(where_, &format!("rule {number} of strings"))),
        });
    }
    for (number, value) in Fields::of(&part(said, BYTE_STRINGS)) {
        rules.push(match number {
            2 => Rule::BytesMinLen(value.number()),
            3 => Rule::BytesMaxLen(value.number()),
            13 => Rule::BytesLen(value.number()),
            _ => return Err(unknown(where_, &format!("rule {number} of bytes"))),
        });
    }
    let (mut defined, mut listed, mut refused) = (false, Vec::new(), Vec::new());
    for (number, value) in Fields::of(&part(said, ENUM)) {
        match number {
            2 => defined = value.number() != 0,
            3 => listed.extend(numbers(value)),
            4 => refused.extend(numbers(value)),
            _ => return Err(unknown(where_, &format!("rule {number} of enums"))),
        }
    }
    if defined {
        let known = contracts.enums.get(type_name).ok_or_else(|| unknown(where_, &format!("the enum {type_name}")))?;
        rules.push(Rule::DefinedOnly(known.values.iter().map(|value| i64::from(value.number)).collect()));
    }
    if !listed.is_empty() {
        rules.push(Rule::EnumIn(listed));
    }
    if !refused.is_empty() {
        rules.push(Rule::EnumNotIn(refused));
    }
    Ok(rules)
}

fn range(where_: &str, prefix: &str, said: &[u8]) -> Result<Option<Rule>, ContractError> {
    let (mut low, mut high) = (None, None);
    for (number, value) in Fields::of(said) {
        let value = value.number().cast_signed();
        match number {
            2 | 3 => high = Some(Bound { value, inclusive: number == 3 }),
            4 | 5 => low = Some(Bound { value, inclusive: number == 5 }),
            _ => return Err(unknown(where_, &format!("rule {number} of {prefix}"))),
        }
    }
    let word = |bound: Bound, way: &str| {
        let or_equal = if bound.inclusive { " or equal to" } else { "" };
        format!("{way} than{or_equal} {}", bound.value)
    };
    let name = |bound: Bound, way: char| if bound.inclusive { format!("{way}te") } else { format!("{way}t") };
    let (rule, message) = match (low, high) {
        (None, None) => return Ok(None),
        (Some(low), None) => (name(low, 'g'), word(low, "greater")),
        (None, Some(high)) => (name(high, 'l'), word(high, "less")),
        (Some(low), Some(high)) => {
            let both = format!("{}_{}", name(low, 'g'), name(high, 'l'));
            let (ending, joint) = if high.value < low.value { ("_exclusive", "or") } else { ("", "and") };
            (both + ending, format!("{} {joint} {}", word(low, "greater"), word(high, "less")))
        }
    };
    Ok(Some(Rule::Range(Range { rule: format!("{prefix}.{rule}"), message: format!("must be {message}"), low, high })))
}

/// A submessage, put together from all its pieces.
fn part(message: &[u8], wanted: u32) -> Vec<u8> {
    Fields::of(message).filter(|(number, _)| *number == wanted).flat_map(|(_, value)| value.bytes()).copied().collect()
}

/// The integers of a repeated field, packed or not.
fn numbers(value: Value<'_>) -> Vec<i64> {
    match value {
        Value::Number(number) => vec![number.cast_signed()],
        Value::Bytes(mut packed) => {
            let next = || prost::encoding::decode_varint(&mut packed).ok().map(u64::cast_signed);
            std::iter::from_fn(next).collect()
        }
    }
}

fn unknown(where_: &str, what: &str) -> ContractError {
    ContractError(format!("{where_}: {what} cannot be checked here"))
}
