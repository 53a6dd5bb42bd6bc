use prost::Message as _;
use prost::encoding::{self, WireType};

use super::Rules;
use crate::contract::descriptor::{
    FieldOptions, FieldType, File, FileSet, MessageOptions, MessageType, OneofOptions, OneofType,
};
use crate::contract::{Contracts, Refusal};

const INT32: i32 = 5;
const STRING: i32 = 9;

/// A message `a.M` with these fields.
fn contracts(message: MessageType) -> Contracts {
    let file = File { package: "a".to_owned(), messages: vec![message], ..File::default() };
    Contracts::read(&FileSet { file: vec![file] }.encode_to_vec()).unwrap()
}

fn field(number: u32, kind: i32, rules: Vec<Vec<u8>>) -> FieldType {
    FieldType {
        name: format!("f{number}"),
        number,
        kind,
        options: Some(FieldOptions { rules }),
        ..FieldType::default()
    }
}

fn message(fields: Vec<FieldType>) -> MessageType {
    MessageType { name: "M".to_owned(), fields, ..MessageType::default() }
}

fn learnt(message: MessageType) -> Rules {
    let mut rules = Rules::default();
    rules.learn(&contracts(message), "a.M").unwrap();
    rules
}

fn refused(message: MessageType) -> String {
    Rules::default().learn(&contracts(message), "a.M").unwrap_err().to_string()
}

fn number(tag: u32, value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    encoding::encode_key(tag, WireType::Varint, &mut bytes);
    encoding::encode_varint(value, &mut bytes);
    bytes
}

fn part(tag: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encoding::encode_key(tag, WireType::LengthDelimited, &mut bytes);
    encoding::encode_varint(content.len() as u64, &mut bytes);
    [bytes, content.to_vec()].concat()
}

fn rules_of(outcome: Result<(), Refusal>) -> Vec<String> {
    outcome.map_or_else(|refusal| refusal.violations, |()| Vec::new()).into_iter().map(|each| each.rule).collect()
}

#[test]
fn a_rule_that_is_not_known_is_refused_with_its_field() {
    let pattern = part(14, &part(6, b"^a"));
    let cel = part(23, &part(1, b"id"));
    let of_message = MessageType {
        options: Some(MessageOptions { map_entry: false, rules: vec![cel.clone()] }),
        ..message(Vec::new())
    };
    let of_oneof = OneofType { name: "o".to_owned(), options: Some(OneofOptions { rules: vec![number(9, 1)] }) };

    assert_eq!(
        refused(message(vec![field(1, STRING, vec![pattern])])),
        "a.M.f1: rule 6 of strings cannot be checked here"
    );
    assert_eq!(refused(message(vec![field(1, STRING, vec![cel])])), "a.M.f1: rule 23 of fields cannot be checked here");
    assert_eq!(refused(of_message), "a.M: rules of the message as a whole cannot be checked here");
    assert_eq!(
        refused(MessageType { oneofs: vec![of_oneof], ..message(Vec::new()) }),
        "a.M.o: rule 9 of oneofs cannot be checked here"
    );
}

#[test]
fn rules_that_were_said_in_several_pieces_hold_together() {
    let pieces = vec![part(3, &number(5, 1)), part(3, &number(3, 9))];
    let rules = learnt(message(vec![field(1, INT32, pieces)]));

    assert_eq!(rules_of(rules.check("a.M", &number(1, 9))), Vec::<String>::new());
    assert_eq!(rules_of(rules.check("a.M", &number(1, 10))), ["int32.gte_lte"]);
    assert_eq!(rules_of(rules.check("a.M", b"")), ["int32.gte_lte"]);
}

#[test]
fn an_upper_bound_below_the_lower_one_leaves_a_gap() {
    let bounds = [number(2, 10), number(4, 20)].concat();
    let rules = learnt(message(vec![field(1, INT32, vec![part(3, &bounds)])]));

    assert_eq!(rules_of(rules.check("a.M", &number(1, 9))), Vec::<String>::new());
    assert_eq!(rules_of(rules.check("a.M", &number(1, 21))), Vec::<String>::new());
    assert_eq!(rules_of(rules.check("a.M", &number(1, 15))), ["int32.gt_lt_exclusive"]);
}

#[test]
fn a_zero_that_is_ignored_breaks_no_rule() {
    let rules = learnt(message(vec![field(1, STRING, vec![part(14, &number(22, 1)), number(27, 1)])]));

    assert_eq!(rules_of(rules.check("a.M", b"")), Vec::<String>::new());
    assert_eq!(rules_of(rules.check("a.M", &part(1, b"no"))), ["string.uuid"]);
    assert_eq!(rules_of(rules.check("a.M", &part(1, b"0189d3a0-7c1e-7b4e-8f1d-5a6b7c8d9e0f"))), Vec::<String>::new());
}

#[test]
fn characters_are_counted_and_not_bytes() {
    let rules = learnt(message(vec![field(1, STRING, vec![part(14, &number(3, 2))])]));

    assert_eq!(rules_of(rules.check("a.M", &part(1, "é🎬".as_bytes()))), Vec::<String>::new());
    assert_eq!(rules_of(rules.check("a.M", &part(1, "é🎬e".as_bytes()))), ["string.max_len"]);
}
