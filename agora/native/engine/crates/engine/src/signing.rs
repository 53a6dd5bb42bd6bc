//! The pure half of the signer of payments: hashes, the message that is signed, keys in memory.
//!
//! Reading, writing and rotating keys is the business of whoever has a file system. A secret is wiped from memory when
//! its key is dropped, and no `Debug` shows it.

use std::fmt;
use std::fmt::Write as _;

use ed25519_dalek::Signer as _;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// What is signed begins with this.
pub const DOMAIN: &[u8] = b"agora.signing.v1\0";

/// Bytes of a secret key; wiped when dropped.
pub type Secret = Zeroizing<[u8; 32]>;

/// The SHA-256 that links a transaction to the one before it.
#[must_use]
pub fn chained_hash(previous_hash: &[u8], payload: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(previous_hash).chain_update(payload).finalize().into()
}

/// The bytes that are signed.
#[must_use]
pub fn signed_message(previous_hash: &[u8], payload: &[u8]) -> Vec<u8> {
    [DOMAIN, previous_hash, payload].concat()
}

/// The first 16 hexadecimal digits of the SHA-256 of a raw public key.
#[must_use]
pub fn key_id(public: &[u8; 32]) -> String {
    Sha256::digest(public).iter().take(8).fold(String::with_capacity(16), |mut id, byte| {
        write!(id, "{byte:02x}").expect("writing to a string cannot fail");
        id
    })
}

/// An Ed25519 key (RFC 8032).
pub struct SigningKey {
    key_id: String,
    key: ed25519_dalek::SigningKey,
}

impl SigningKey {
    /// The key of 32 secret bytes, which the caller took from the system's random source or from its file.
    #[must_use]
    pub fn from_secret(secret: &Secret) -> Self {
        let key = ed25519_dalek::SigningKey::from_bytes(secret);
        Self { key_id: key_id(key.verifying_key().as_bytes()), key }
    }

    /// See [`key_id`].
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The raw public half.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// Signs a transaction's canonical bytes in their place in the chain.
    #[must_use]
    pub fn sign(&self, previous_hash: &[u8], payload: &[u8]) -> Signed {
        Signed {
            hash: chained_hash(previous_hash, payload),
            signature: self.key.sign(&signed_message(previous_hash, payload)).to_bytes(),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SigningKey").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// A transaction's place in the chain, and the proof that a key's owner put it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// See [`chained_hash`].
    pub hash: [u8; 32],
    /// Ed25519 over [`signed_message`].
    pub signature: [u8; 64],
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_secret(&Zeroizing::new([7; 32]))
    }

    #[test]
    fn a_signature_verifies_over_domain_previous_hash_and_payload() {
        let signed = key().sign(&[1; 32], b"payload");

        let public = ed25519_dalek::VerifyingKey::from_bytes(&key().public()).unwrap();
        let message = [b"agora.signing.v1\0".as_slice(), &[1; 32], b"payload"].concat();
        public.verify_strict(&message, &ed25519_dalek::Signature::from_bytes(&signed.signature)).unwrap();
    }

    #[test]
    fn the_first_test_vector_of_rfc_8032_has_its_public_key() {
        let secret = [
            0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49,
            0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
        ];

        let public = SigningKey::from_secret(&Zeroizing::new(secret)).public();

        assert_eq!(public[..4], [0xd7, 0x5a, 0x98, 0x01]);
        assert_eq!(public[28..], [0xf7, 0x07, 0x51, 0x1a]);
    }

    #[test]
    fn a_hash_covers_the_one_before_it() {
        // SHA-256 of "abc", as FIPS 180-4 prints it.
        assert_eq!(chained_hash(b"a", b"bc")[..4], [0xba, 0x78, 0x16, 0xbf]);
    }

    #[test]
    fn a_key_shows_its_id_and_never_its_secret() {
        let shown = format!("{:?}", key());

        assert_eq!(key().key_id().len(), 16);
        assert_eq!(shown, format!("SigningKey {{ key_id: {:?}, .. }}", key().key_id()));
    }
}
