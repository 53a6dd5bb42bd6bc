//! Reading encoded messages field by field.

use prost::encoding::{WireType, decode_key, decode_varint};

/// The value of one field as it is on the wire.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    pub fn number(self) -> u64 {
        match self {
            Self::Number(number) => number,
            Self::Bytes(_) => 0,
        }
    }

    pub fn bytes(self) -> &'a [u8] {
        match self {
            Self::Number(_) => &[],
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// The fields of an encoded message, in order; ends early where it is not well-formed, which one of ours never is.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (number, wire_type) = decode_key(&mut self.rest).ok()?;
        let value = match wire_type {
            WireType::Varint => Value::Number(decode_varint(&mut self.rest).ok()?),
            WireType::SixtyFourBit => Value::Number(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            WireType::ThirtyTwoBit => Value::Number(u64::from(u32::from_le_bytes(self.take(4)?.try_into().ok()?))),
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut self.rest).ok()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            WireType::StartGroup | WireType::EndGroup => return None,
        };
        Some((number, value))
    }
}
