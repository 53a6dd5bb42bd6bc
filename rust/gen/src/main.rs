//! Makes Rust messages from compiled contracts.
//!
//! `tricorn-gen OUTPUT [--contract package.Service]... [--file path.proto]... < image` reads a `FileDescriptorSet` with all
//! imports and writes into the folder `OUTPUT`, which it makes:
//!
//! - a file of messages for each package whose types the named contracts and files use, and `mod.rs` with the tree of
//!   packages;
//! - `descriptors.binpb`, the same files with their imports: what policies, rules and reasons are read from at run time.
//!
//! Well-known types come from `prost-types`. The same image gives the same bytes. `tricorn gen` runs it; nothing else
//! needs to.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use prost::Message;
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};

struct Arguments {
    output: PathBuf,
    contracts: Vec<String>,
    files: Vec<String>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tricorn-gen: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let arguments = arguments(env::args().skip(1))?;
    let mut image = Vec::new();
    io::stdin().read_to_end(&mut image).map_err(|error| format!("the image cannot be read: {error}"))?;
    let set = FileDescriptorSet::decode(image.as_slice()).map_err(|error| format!("not an image: {error}"))?;
    let roots = roots(&set, &arguments)?;
    fs::create_dir_all(&arguments.output).map_err(|error| format!("{}: {error}", arguments.output.display()))?;
    write_messages(&set, &used(&set, &roots), &arguments.output)?;
    let needed = closure(&set, roots, |file| file.dependency.clone());
    let descriptors = descriptors(&image, &needed)?;
    let path = arguments.output.join("descriptors.binpb");
    fs::write(&path, descriptors).map_err(|error| format!("{}: {error}", path.display()))
}

fn arguments(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let output = words.next().ok_or("name the folder to write into")?.into();
    let mut made = Arguments { output, contracts: Vec::new(), files: Vec::new() };
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--contract" => made.contracts.push(value),
            "--file" => made.files.push(value),
            _ => return Err(format!("{word} is none of --contract, --file")),
        }
    }
    Ok(made)
}

/// The files that declare the contracts, and those that were named.
fn roots(set: &FileDescriptorSet, arguments: &Arguments) -> Result<BTreeSet<String>, String> {
    let mut found = BTreeSet::new();
    for contract in &arguments.contracts {
        let file = set
            .file
            .iter()
            .find(|file| {
                file.service.iter().any(|service| *contract == format!("{}.{}", file.package(), service.name()))
            })
            .ok_or_else(|| format!("no file declares {contract}"))?;
        found.insert(file.name().to_owned());
    }
    for name in &arguments.files {
        if !set.file.iter().any(|file| file.name() == name) {
            return Err(format!("there is no {name}"));
        }
        found.insert(name.clone());
    }
    Ok(found)
}

/// The files, and those that `next` leads to from them.
fn closure(
    set: &FileDescriptorSet,
    roots: BTreeSet<String>,
    next: impl Fn(&FileDescriptorProto) -> Vec<String>,
) -> BTreeSet<String> {
    let by_name: BTreeMap<&str, &FileDescriptorProto> = set.file.iter().map(|file| (file.name(), file)).collect();
    let mut open: Vec<String> = roots.into_iter().collect();
    let mut found = BTreeSet::new();
    while let Some(name) = open.pop() {
        if let Some(file) = by_name.get(name.as_str())
            && found.insert(name)
        {
            open.extend(next(file));
        }
    }
    found
}

/// The files whose types the roots use. What only options need is read from the descriptors and wants no code.
fn used(set: &FileDescriptorSet, roots: &BTreeSet<String>) -> BTreeSet<String> {
    let mut homes = BTreeMap::new();
    for file in &set.file {
        let names = file.message_type.iter().map(DescriptorProto::name);
        for name in names.chain(file.enum_type.iter().map(EnumDescriptorProto::name)) {
            homes.insert(format!(".{}.{name}", file.package()), file.name().to_owned());
        }
    }
    closure(set, roots.clone(), |file| {
        let mut types = Vec::new();
        for method in file.service.iter().flat_map(|service| &service.method) {
            types.extend([method.input_type(), method.output_type()]);
        }
        file.message_type.iter().for_each(|message| types_of(message, &mut types));
        // A nested type lives where the one around it does.
        let home = |name: &str| homes.range(..=name.to_owned()).next_back().map(|(_, file)| file.clone());
        types.into_iter().filter_map(home).collect()
    })
}

fn types_of<'a>(message: &'a DescriptorProto, types: &mut Vec<&'a str>) {
    types.extend(message.field.iter().map(FieldDescriptorProto::type_name).filter(|name| !name.is_empty()));
    message.nested_type.iter().for_each(|nested| types_of(nested, types));
}

fn write_messages(set: &FileDescriptorSet, used: &BTreeSet<String>, output: &Path) -> Result<(), String> {
    let file = set.file.iter().filter(|file| used.contains(file.name())).cloned().collect();
    let mut config = prost_build::Config::new();
    config.out_dir(output).include_file("mod.rs").enable_type_names();
    config.compile_fds(FileDescriptorSet { file }).map_err(|error| error.to_string())
}

/// The needed files as they are in the image, byte for byte but for comments: decoding them as messages that do not know
/// our options would lose these.
fn descriptors(image: &[u8], needed: &BTreeSet<String>) -> Result<Vec<u8>, String> {
    let mut made = Vec::new();
    let mut rest = image;
    while !rest.is_empty() {
        let file = field(&mut rest, |_| true)?.1;
        let name = FileDescriptorProto::decode(file).map_err(|error| error.to_string())?;
        if !needed.contains(name.name()) {
            continue;
        }
        let mut kept = Vec::with_capacity(file.len());
        let mut inner = file;
        while !inner.is_empty() {
            let (whole, _) = field(&mut inner, |number| number != SOURCE_CODE_INFO)?;
            kept.extend_from_slice(whole);
        }
        prost::encoding::bytes::encode(1, &kept, &mut made);
    }
    Ok(made)
}

const SOURCE_CODE_INFO: u32 = 9;

/// Takes one field: its bytes with the key (empty when it is not wanted), and its content.
fn field<'a>(rest: &mut &'a [u8], wanted: impl Fn(u32) -> bool) -> Result<(&'a [u8], &'a [u8]), String> {
    let start = *rest;
    let broken = |_| "the image ends in the middle of a field".to_owned();
    let (number, wire_type) = prost::encoding::decode_key(rest).map_err(broken)?;
    let content = *rest;
    prost::encoding::skip_field(wire_type, number, rest, prost::encoding::DecodeContext::default()).map_err(broken)?;
    let whole = &start[..start.len() - rest.len()];
    let mut content = &content[..content.len() - rest.len()];
    if wire_type == prost::encoding::WireType::LengthDelimited {
        prost::encoding::decode_varint(&mut content).map_err(broken)?;
    }
    Ok((if wanted(number) { whole } else { &[] }, content))
}
