//! What the contracts say of their methods and reasons, read once from the descriptors.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use prost::Message as _;

use super::descriptor::{EnumType, FileSet, MessageType, MethodType};

/// How long a unary call may take when its contract says nothing.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

const NO_SIDE_EFFECTS: i32 = 1;
pub(crate) const PLATFORM: &[u8] = include_bytes!("../gen/descriptors.binpb");

/// A contract cannot be hosted; says which and why.
#[derive(Debug)]
pub struct ContractError(pub(crate) String);

impl fmt::Display for ContractError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for ContractError {}

/// One method with what its contract says of it.
#[derive(Clone, Debug)]
pub struct MethodPolicy {
    /// `package.Service/Method`.
    pub full_name: String,
    /// `package.Service`.
    pub service: String,
    /// The last name.
    pub name: String,
    /// The full name of the request's message.
    pub input: String,
    /// The full name of the answer's message.
    pub output: String,
    /// The longest it may take, whatever the caller asks for.
    pub deadline: Duration,
    /// It has no side effects.
    pub safe: bool,
    pub(crate) streaming: bool,
}

/// How a reason looks on each transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasonEntry {
    /// The gRPC status code's name.
    pub grpc: String,
    /// The HTTP status.
    pub http: i32,
}

/// The contracts of an application and of the platform.
pub struct Contracts {
    pub(super) messages: BTreeMap<String, MessageType>,
    pub(super) enums: BTreeMap<String, EnumType>,
    services: BTreeMap<String, Vec<MethodPolicy>>,
    reasons: BTreeMap<String, ReasonEntry>,
}

impl Contracts {
    /// Reads an application's descriptor set; the platform's own contracts are added.
    ///
    /// # Errors
    ///
    /// It is none, or it declares a reason a second time, otherwise.
    pub fn read(descriptors: &[u8]) -> Result<Self, ContractError> {
        let mut made = Self {
            messages: BTreeMap::new(),
            enums: BTreeMap::new(),
            services: BTreeMap::new(),
            reasons: BTreeMap::new(),
        };
        for bytes in [PLATFORM, descriptors] {
            let set = FileSet::decode(bytes).map_err(|error| ContractError(format!("the descriptors: {error}")))?;
            for file in set.file {
                for service in &file.services {
                    let name = format!("{}.{}", file.package, service.name);
                    let methods = service.methods.iter().map(|method| policy(&name, method)).collect();
                    made.services.insert(name, methods);
                }
                for each in file.enums {
                    made.add_enum(&file.package, each)?;
                }
                for message in file.messages {
                    made.add_message(&file.package, message)?;
                }
            }
        }
        Ok(made)
    }

    /// The methods of a service, in the contract's order.
    ///
    /// # Errors
    ///
    /// No file declares it.
    pub fn methods(&self, service: &str) -> Result<&[MethodPolicy], ContractError> {
        let found = self.services.get(service).map(Vec::as_slice);
        found.ok_or_else(|| ContractError(format!("no contract declares {service}")))
    }

    /// How a reason looks on each transport; `None` for one that is outside the vocabulary.
    #[must_use]
    pub fn reason(&self, name: &str) -> Option<&ReasonEntry> {
        self.reasons.get(name)
    }

    fn add_message(&mut self, scope: &str, message: MessageType) -> Result<(), ContractError> {
        let name = format!("{scope}.{}", message.name);
        for each in &message.enums {
            self.add_enum(&name, each.clone())?;
        }
        for nested in &message.messages {
            self.add_message(&name, nested.clone())?;
        }
        self.messages.insert(name, message);
        Ok(())
    }

    fn add_enum(&mut self, scope: &str, each: EnumType) -> Result<(), ContractError> {
        for value in &each.values {
            let Some(policy) = value.options.as_ref().and_then(|options| options.reason.as_ref()) else { continue };
            let name = value.name.strip_prefix("REASON_").unwrap_or(&value.name).to_owned();
            let entry = ReasonEntry { grpc: policy.grpc.clone(), http: policy.http };
            let known = self.reasons.entry(name.clone()).or_insert_with(|| entry.clone());
            if *known != entry {
                return Err(ContractError(format!("the reason {name} of {scope} is declared already, otherwise")));
            }
        }
        self.enums.insert(format!("{scope}.{}", each.name), each);
        Ok(())
    }
}

fn policy(service: &str, method: &MethodType) -> MethodPolicy {
    let options = method.options.clone().unwrap_or_default();
    let said = options.policy.and_then(|policy| policy.deadline).and_then(|said| Duration::try_from(said).ok());
    MethodPolicy {
        full_name: format!("{service}/{}", method.name),
        service: service.to_owned(),
        name: method.name.clone(),
        input: method.input.trim_start_matches('.').to_owned(),
        output: method.output.trim_start_matches('.').to_owned(),
        deadline: said.filter(|limit| !limit.is_zero()).unwrap_or(DEFAULT_DEADLINE),
        safe: options.idempotency_level == NO_SIDE_EFFECTS,
        streaming: method.client_streaming || method.server_streaming,
    }
}
