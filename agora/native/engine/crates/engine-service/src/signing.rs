//! `agora.payments.v1.SigningService`.

use std::sync::Arc;

use engine::signing::SigningKey;
use engine_proto::agora::payments::v1 as pb;
use tricorn::contract::{Call, Methods, Refusal};

/// The contract's full name.
pub const CONTRACT: &str = "agora.payments.v1.SigningService";

/// Who keeps the keys.
pub trait Signer: Send + Sync + 'static {
    /// The key to sign with now.
    ///
    /// # Errors
    ///
    /// There is none to be had; a panic's worth of trouble is an `INTERNAL` that was logged.
    fn active(&self) -> Result<Arc<SigningKey>, Refusal>;

    /// The id and the raw public half of every key that signatures were ever made with, the active one included, by id.
    ///
    /// # Errors
    ///
    /// As above.
    fn public_keys(&self) -> Result<Vec<(String, Vec<u8>)>, Refusal>;
}

/// What answers the contract with the keys of `signer`.
#[must_use]
pub fn methods<S: Signer>(signer: S) -> Methods {
    let signer = Arc::new(signer);
    let keeper = signer.clone();
    Methods::new()
        .light("SignTransaction", move |request, _: &Call| sign_transaction(&*signer, request))
        .light("ListSigningKeys", move |_: &pb::ListSigningKeysRequest, _| list_signing_keys(&*keeper))
}

/// A transaction's place in the chain, signed with the active key.
///
/// # Errors
///
/// There is no key.
pub fn sign_transaction(
    keeper: &impl Signer,
    request: &pb::SignTransactionRequest,
) -> Result<pb::SignTransactionResponse, Refusal> {
    let key = keeper.active()?;
    let signed = key.sign(&request.previous_hash, &request.payload);
    Ok(pb::SignTransactionResponse {
        hash: signed.hash.to_vec(),
        signature: signed.signature.to_vec(),
        key_id: key.key_id().to_owned(),
    })
}

/// Every public key, and which of them is active.
///
/// # Errors
///
/// There is no key.
pub fn list_signing_keys(keeper: &impl Signer) -> Result<pb::ListSigningKeysResponse, Refusal> {
    let active = keeper.active()?;
    let keys = keeper.public_keys()?.into_iter().map(|(key_id, public_key)| pb::SigningKey {
        active: key_id == active.key_id(),
        key_id,
        public_key,
    });
    Ok(pb::ListSigningKeysResponse { keys: keys.collect() })
}
