//! The neutral form of signatures and types, as the recorder writes it.

use dspy::{
    Definition, Definitions, Enum, EnumBase, EnumMember, Extra, Field, Model, ModelField,
    Signature, Type,
};
use serde_json::{Map, Value};

use super::plain::plain;

/// The signature, or why it is out of scope.
pub(crate) fn signature(neutral: &Value) -> Result<Signature, String> {
    let mut signature =
        Signature::new(text(neutral, "name"), text(neutral, "instructions"), vec![], vec![]);
    signature.types = definitions(&neutral["types"])?;
    for neutral in neutral["fields"].as_array().unwrap() {
        let field = field(neutral)?;
        match neutral["role"].as_str().unwrap() {
            "input" => signature.inputs.push(field),
            _ => signature.outputs.push(field),
        }
    }
    signature.instructions = text(neutral, "instructions");
    Ok(signature)
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn field(neutral: &Value) -> Result<Field, String> {
    let ty = ty(&neutral["type"])?;
    if ty.to_string() != neutral["annotation_name"] {
        return Err(format!("{ty} is not {}", neutral["annotation_name"]));
    }
    let mut field = Field::new(text(neutral, "name"), ty);
    field.untyped = neutral["type_undefined"] == true;
    field.desc = neutral["desc"].as_str().map(ToOwned::to_owned);
    field.prefix = neutral["prefix"].as_str().map(ToOwned::to_owned);
    field.constraints = neutral["constraints"].as_str().map(ToOwned::to_owned);
    field.default = neutral.get("default").map(plain);
    Ok(field)
}

/// The definitions of a signature's types.
pub(crate) fn definitions(neutral: &Value) -> Result<Definitions, String> {
    let mut definitions = Definitions::default();
    for (name, neutral) in neutral.as_object().unwrap_or(&Map::new()) {
        definitions.0.insert(name.clone(), definition(neutral)?);
    }
    Ok(definitions)
}

fn definition(neutral: &Value) -> Result<Definition, String> {
    if neutral["kind"] == "enum" {
        let members = neutral["members"].as_array().unwrap().iter();
        let member = |it: &Value| EnumMember { name: text(it, "name"), value: plain(&it["value"]) };
        let base = match neutral["base"].as_str() {
            Some("str") => EnumBase::Str,
            Some("int") => EnumBase::Int,
            Some("float") => EnumBase::Float,
            Some("StrEnum") => EnumBase::StrEnum,
            Some("IntEnum") => EnumBase::IntEnum,
            _ => EnumBase::None,
        };
        let doc = neutral["doc"].as_str().map(ToOwned::to_owned);
        return Ok(Definition::Enum(Enum { base, members: members.map(member).collect(), doc }));
    }
    let fields = neutral["fields"].as_array().unwrap().iter().map(model_field);
    let extra = match neutral["config"]["extra"].as_str() {
        Some("forbid") => Extra::Forbid,
        Some("allow") => Extra::Allow,
        _ => Extra::Ignore,
    };
    let populate_by_name = neutral["config"]["populate_by_name"] == "True";
    Ok(Definition::Model(Model {
        fields: fields.collect::<Result<_, _>>()?,
        extra,
        populate_by_name,
        doc: neutral["doc"].as_str().map(ToOwned::to_owned),
        json_schema: None,
    }))
}

fn model_field(neutral: &Value) -> Result<ModelField, String> {
    let is_required = neutral["required"] == true;
    Ok(ModelField {
        name: text(neutral, "name"),
        alias: neutral["alias"].as_str().map(ToOwned::to_owned),
        ty: ty(&neutral["type"])?,
        desc: neutral["description"].as_str().map(ToOwned::to_owned),
        default: (!is_required).then(|| plain(&neutral["default"])),
        bounds: bounds(&neutral["constraints"])?,
    })
}

/// `["Ge(ge=0)"]` as bounds.
fn bounds(neutral: &Value) -> Result<Map<String, Value>, String> {
    let mut bounds = Map::new();
    for text in neutral.as_array().unwrap_or(&vec![]) {
        let text = text.as_str().unwrap();
        let inner = text.split_once('(').and_then(|(_, it)| it.strip_suffix(')'));
        let pair = inner.and_then(|it| it.split_once('='));
        let (name, bound) = pair.ok_or_else(|| format!("bound {text}"))?;
        let bound = serde_json::from_str(bound).map_err(|_| format!("bound {text}"))?;
        bounds.insert(name.to_owned(), bound);
    }
    Ok(bounds)
}

/// The type, or why it is out of scope.
pub(crate) fn ty(neutral: &Value) -> Result<Type, String> {
    let inner = |name: &str| neutral.get(name).map(ty).transpose().map(|it| it.map(Box::new));
    let args = || neutral["args"].as_array().unwrap().iter().map(ty).collect::<Result<Vec<_>, _>>();
    Ok(match neutral["kind"].as_str().unwrap_or_default() {
        "str" => Type::Str,
        "int" => Type::Int,
        "float" => Type::Float,
        "bool" => Type::Bool,
        "none" => Type::None,
        "any" => Type::Any,
        "list" => inner("item")?.map_or(Type::BareList, Type::List),
        "set" => inner("item")?.map_or(Type::BareSet, Type::Set),
        "frozenset" => inner("item")?.map_or(Type::BareFrozenSet, Type::FrozenSet),
        "tuple" if neutral["args"].as_array().is_none_or(Vec::is_empty) => Type::BareTuple,
        "bytes" => Type::parse("bytes").map_err(|it| it.to_string())?,
        "class" => Type::parse(&text(neutral, "name")).map_err(|it| it.to_string())?,
        "dspy" => {
            let name = format!("dspy.{}", text(neutral, "name"));
            Type::parse(&name).map_err(|it| it.to_string())?
        }
        "dict" => match (inner("key")?, inner("value")?) {
            (Some(key), Some(value)) => Type::Dict(key, value),
            _ => Type::BareDict,
        },
        "tuple" if neutral["args"][1] == "..." => Type::TupleOf(Box::new(ty(&neutral["args"][0])?)),
        "tuple" => Type::Tuple(args()?),
        "union" => Type::Union(args()?),
        "literal" => {
            Type::Literal(neutral["values"].as_array().unwrap().iter().map(plain).collect())
        }
        "annotated" => {
            let rule = |it: &Value| {
                let bounds = it["bounds"].as_object().unwrap().iter();
                let bounds: Vec<_> = bounds.map(|(name, it)| format!("{name}={it}")).collect();
                format!("{}({})", text(it, "name"), bounds.join(", "))
            };
            let rules: Vec<_> = neutral["rules"].as_array().unwrap().iter().map(rule).collect();
            let item = ty(&neutral["item"])?.annotation();
            let list = Type::try_from(format!("list[Annotated[{item}, {}]]", rules.join(", ")));
            let Ok(Type::List(item)) = list else { return Err(format!("rules {rules:?}")) };
            *item
        }
        "ref" => Type::Named(text(neutral, "name")),
        kind => return Err(format!("type {kind} {}", text(neutral, "name"))),
    })
}
