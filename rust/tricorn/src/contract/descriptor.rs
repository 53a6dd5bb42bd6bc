//! The parts of `google/protobuf/descriptor.proto` that are read here, with the options of the platform and of
//! protovalidate in their places: the types of `prost-types` would drop them.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct FileSet {
    #[prost(message, repeated, tag = "1")]
    pub file: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct File {
    #[prost(string, tag = "2")]
    pub package: String,
    #[prost(message, repeated, tag = "4")]
    pub messages: Vec<MessageType>,
    #[prost(message, repeated, tag = "5")]
    pub enums: Vec<EnumType>,
    #[prost(message, repeated, tag = "6")]
    pub services: Vec<ServiceType>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MessageType {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, repeated, tag = "2")]
    pub fields: Vec<FieldType>,
    #[prost(message, repeated, tag = "3")]
    pub messages: Vec<MessageType>,
    #[prost(message, repeated, tag = "4")]
    pub enums: Vec<EnumType>,
    #[prost(message, optional, tag = "7")]
    pub options: Option<MessageOptions>,
    #[prost(message, repeated, tag = "8")]
    pub oneofs: Vec<OneofType>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MessageOptions {
    #[prost(bool, tag = "7")]
    pub map_entry: bool,
    #[prost(bytes = "vec", repeated, tag = "1159")]
    pub rules: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FieldType {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(uint32, tag = "3")]
    pub number: u32,
    /// 3 is repeated.
    #[prost(int32, tag = "4")]
    pub label: i32,
    #[prost(int32, tag = "5")]
    pub kind: i32,
    #[prost(string, tag = "6")]
    pub type_name: String,
    #[prost(message, optional, tag = "8")]
    pub options: Option<FieldOptions>,
    #[prost(uint32, optional, tag = "9")]
    pub oneof: Option<u32>,
    #[prost(bool, tag = "17")]
    pub proto3_optional: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FieldOptions {
    #[prost(bytes = "vec", repeated, tag = "1159")]
    pub rules: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct OneofType {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub options: Option<OneofOptions>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct OneofOptions {
    #[prost(bytes = "vec", repeated, tag = "1159")]
    pub rules: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EnumType {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, repeated, tag = "2")]
    pub values: Vec<EnumValue>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EnumValue {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(int32, tag = "2")]
    pub number: i32,
    #[prost(message, optional, tag = "3")]
    pub options: Option<EnumValueOptions>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct EnumValueOptions {
    #[prost(message, optional, tag = "50501")]
    pub reason: Option<ReasonPolicy>,
}

/// `tricorn.v1.ReasonPolicy`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ReasonPolicy {
    #[prost(string, tag = "1")]
    pub grpc: String,
    #[prost(int32, tag = "2")]
    pub http: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ServiceType {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, repeated, tag = "2")]
    pub methods: Vec<MethodType>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MethodType {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub input: String,
    #[prost(string, tag = "3")]
    pub output: String,
    #[prost(message, optional, tag = "4")]
    pub options: Option<MethodOptions>,
    #[prost(bool, tag = "5")]
    pub client_streaming: bool,
    #[prost(bool, tag = "6")]
    pub server_streaming: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MethodOptions {
    /// 1 is `NO_SIDE_EFFECTS`.
    #[prost(int32, tag = "34")]
    pub idempotency_level: i32,
    #[prost(message, optional, tag = "50501")]
    pub policy: Option<Policy>,
}

/// `tricorn.v1.MethodPolicy`, as far as a server acts on it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Policy {
    #[prost(message, optional, tag = "4")]
    pub deadline: Option<prost_types::Duration>,
}
