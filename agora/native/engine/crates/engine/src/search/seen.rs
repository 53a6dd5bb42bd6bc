//! The nodes that were opened at the beginning of a line, so that a worse one in the same place is dropped.

use std::hash::BuildHasher as _;
use std::ops::Range;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

struct Node {
    key: Range<usize>,
    bound: i64,
}

/// Keys lie one after the other in one list, so a new one costs no allocation of its own.
#[derive(Default)]
pub(super) struct Seen {
    nodes: HashTable<Node>,
    keys: Vec<u16>,
    hasher: DefaultHashBuilder,
}

impl Seen {
    pub fn clear(&mut self) {
        self.nodes.clear();
        self.keys.clear();
    }

    /// Whether a node with this key was seen with a bound at least as high; else this one now is.
    pub fn surpasses(&mut self, key: impl Iterator<Item = u16>, bound: i64) -> bool {
        let Self { nodes, keys, hasher } = self;
        let first = keys.len();
        keys.extend(key);
        let wanted = &keys[first..];
        let hash = |node: &Node| hasher.hash_one(&keys[node.key.clone()]);
        let same = |node: &Node| keys[node.key.clone()] == *wanted;
        match nodes.entry(hasher.hash_one(wanted), same, hash) {
            Entry::Occupied(known) => {
                let known = known.into_mut();
                let surpassed = known.bound >= bound;
                known.bound = known.bound.max(bound);
                keys.truncate(first);
                surpassed
            }
            Entry::Vacant(place) => {
                place.insert(Node { key: first..keys.len(), bound });
                false
            }
        }
    }
}
