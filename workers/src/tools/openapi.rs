//! A service that describes itself by OpenAPI 3: its operations as tools, and requests made of
//! arguments.

use dspy::{Fields, Tool, ToolError};
use programs::{Method, OpenApi};
use reqwest::{
    Url,
    header::{HeaderName, HeaderValue},
};
use serde_json::{Map, Value, json};

use super::{
    http::{Request, Web},
    resolve::Resolver,
    template,
};

/// The most operations of one service.
const OPERATIONS_MAX: usize = 500;

/// The argument that is a whole body.
const BODY: &str = "body";

/// A service and what it can do.
#[derive(Debug)]
pub(super) struct Service {
    base: String,
    operations: Vec<Operation>,
}

/// One thing that a service can do.
#[derive(Debug)]
pub(super) struct Operation {
    tool: Tool,
    method: Method,
    path: String,
    parameters: Vec<Parameter>,
    body: Body,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    place: Place,
}

/// Where an argument goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Path,
    Query,
    Header,
}

/// What the body of a request is made of.
#[derive(Debug, PartialEq, Eq)]
enum Body {
    None,
    /// The arguments of these names are its fields.
    Fields(Vec<String>),
    /// One argument is all of it.
    Whole,
}

impl Service {
    /// The service of a description. `address` is where the description was fetched.
    pub(super) fn read(
        document: &Value,
        config: &OpenApi,
        address: Option<&str>,
    ) -> Result<Self, ToolError> {
        if !document["openapi"].as_str().is_some_and(|it| it.starts_with("3.")) {
            return Err(ToolError("the description is not one of OpenAPI 3".to_owned()));
        }
        let base = base(document, config, address)?;
        let mut resolver = Resolver::new(document);
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            let item = resolver.target(item)?;
            for method in Method::ALL {
                let Some(found) = item.get(method.name().to_ascii_lowercase()) else { continue };
                let name = name(found, method, path);
                if config.operations.is_empty() || config.operations.contains(&name) {
                    operations.push(read(&mut resolver, item, found, (name, method, path))?);
                }
            }
        }
        let missing = |id: &&String| !operations.iter().any(|it| it.tool.name == **id);
        if let Some(id) = config.operations.iter().find(missing) {
            return Err(ToolError(format!("the description has no operation `{id}`")));
        }
        if operations.len() > OPERATIONS_MAX {
            let count = operations.len();
            let text = format!("the service has {count} operations: name those to use");
            return Err(ToolError(text));
        }
        Ok(Self { base, operations })
    }

    /// Its operations, as the model is told of them.
    pub(super) fn tools(&self) -> Vec<Tool> {
        self.operations.iter().map(|it| it.tool.clone()).collect()
    }

    /// The operation of that name.
    pub(super) fn find(&self, name: &str) -> Option<&Operation> {
        self.operations.iter().find(|it| it.tool.name == name)
    }

    /// The request that an operation is with these arguments.
    pub(super) fn request(
        &self,
        web: Web<'_>,
        operation: &Operation,
        config: &OpenApi,
        args: &Fields,
    ) -> Result<Request, ToolError> {
        let path = template::fill(&operation.path, args)?;
        let mut url = web.admit(&format!("{}{path}", self.base))?;
        let mut headers = web.headers(&config.headers_env)?;
        for Parameter { name, place } in &operation.parameters {
            let Some(value) = args.get(name) else { continue };
            match place {
                Place::Path => {}
                Place::Query => template::add_query(&mut url, name, value),
                Place::Header => {
                    let wrong = |_| ToolError(format!("`{name}` cannot be the value of a header"));
                    let Some(text) = template::text_of(value) else { continue };
                    let value = HeaderValue::from_str(&text).map_err(wrong)?;
                    let Ok(name) = name.parse::<HeaderName>() else { continue };
                    // What the operator set stays: a model must not say who asks.
                    headers.entry(name).or_insert(value);
                }
            }
        }
        let body = operation.body.of(args);
        Ok(Request { method: operation.method, url, headers, body })
    }
}

impl Body {
    fn of(&self, args: &Fields) -> Option<Value> {
        match self {
            Body::None => None,
            Body::Whole => args.get(BODY).cloned(),
            Body::Fields(names) => {
                let given = args.iter().filter(|(name, _)| names.contains(name));
                Some(given.map(|(name, value)| (name.clone(), value.clone())).collect())
            }
        }
    }
}

/// Where the service is: where the file says; else where its description does, if that is the
/// description's own host, which alone may be sent the keys that are for it.
fn base(document: &Value, config: &OpenApi, address: Option<&str>) -> Result<String, ToolError> {
    if let Some(base) = &config.base_url {
        return Ok(base.clone());
    }
    let said = document["servers"][0]["url"].as_str().unwrap_or("/");
    let here = address.and_then(|it| Url::parse(it).ok());
    let url = match &here {
        Some(here) => here.join(said).ok(),
        None => Url::parse(said).ok(),
    };
    let own = |url: &Url| here.as_ref().is_none_or(|here| here.origin() == url.origin());
    let url = url.filter(|it| it.has_host() && !said.contains('{') && own(it));
    let url = url.ok_or_else(|| {
        ToolError(format!("the description says that the service is at `{said}`: set `base_url`"))
    })?;
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The name of an operation: its id, or what it does where.
fn name(operation: &Value, method: Method, path: &str) -> String {
    if let Some(id) = operation["operationId"].as_str().filter(|it| !it.is_empty()) {
        return id.to_owned();
    }
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|it| !it.is_empty());
    let verb = method.name().to_ascii_lowercase();
    words.fold(verb, |name, word| format!("{name}_{word}"))
}

fn read<'a>(
    resolver: &mut Resolver<'a>,
    item: &'a Value,
    operation: &'a Value,
    (name, method, path): (String, Method, &str),
) -> Result<Operation, ToolError> {
    let (mut args, mut parameters) = (Map::new(), Vec::new());
    let lists = [&item["parameters"], &operation["parameters"]];
    for parameter in lists.into_iter().filter_map(Value::as_array).flatten() {
        let parameter = resolver.target(parameter)?;
        let (Some(name), Some(place)) = (parameter["name"].as_str(), place(parameter)) else {
            continue;
        };
        args.insert(name.to_owned(), argument(resolver, parameter)?);
        // One of the operation takes the place of one of its path.
        parameters.retain(|it: &Parameter| it.name != name);
        parameters.push(Parameter { name: name.to_owned(), place });
    }
    for name in template::names(path).filter(|it| !args.contains_key(*it)).collect::<Vec<_>>() {
        args.insert(name.to_owned(), json!({"type": "string"}));
    }
    let body = body(resolver, operation, &mut args)?;
    let texts = ["summary", "description"].map(|it| operation[it].as_str().unwrap_or_default());
    let mut texts: Vec<&str> = texts.into_iter().map(str::trim).collect();
    texts.retain(|it| !it.is_empty());
    texts.dedup();
    let desc = texts.join("\n");
    let tool = Tool { name, desc, args, has_kwargs: false };
    Ok(Operation { tool, method, path: path.to_owned(), parameters, body })
}

/// Where a parameter goes; none for cookies, which are no model's business.
fn place(parameter: &Value) -> Option<Place> {
    match parameter["in"].as_str()? {
        "path" => Some(Place::Path),
        "query" => Some(Place::Query),
        "header" => Some(Place::Header),
        _ => None,
    }
}

/// The schema of a parameter, with its description. One that may be left out has a default.
fn argument<'a>(resolver: &mut Resolver<'a>, parameter: &'a Value) -> Result<Value, ToolError> {
    let schema = match parameter.get("schema") {
        Some(schema) => resolver.schema(schema)?,
        None => json!({"type": "string"}),
    };
    let required = parameter["required"].as_bool().unwrap_or(parameter["in"] == "path");
    Ok(described(schema, parameter["description"].as_str(), required))
}

fn described(mut schema: Value, description: Option<&str>, required: bool) -> Value {
    if let Value::Object(fields) = &mut schema {
        if let Some(text) = description {
            fields.entry("description").or_insert_with(|| text.into());
        }
        if !required {
            fields.entry("default").or_insert(Value::Null);
        }
    }
    schema
}

/// What the body is made of: the fields of an object are arguments of their own, where no
/// parameter has their name.
fn body<'a>(
    resolver: &mut Resolver<'a>,
    operation: &'a Value,
    args: &mut Fields,
) -> Result<Body, ToolError> {
    let Some(request) = operation.get("requestBody") else { return Ok(Body::None) };
    let request = resolver.target(request)?;
    let content = request["content"].as_object();
    let json = content.into_iter().flatten().find(|(kind, _)| is_json(kind));
    let Some((_, media)) = json else {
        let kinds: Vec<&str> = content.into_iter().flatten().map(|(kind, _)| &**kind).collect();
        let text = format!("the bodies of an operation are {}, not JSON", kinds.join(", "));
        return Err(ToolError(text));
    };
    let schema = media.get("schema").map(|it| resolver.schema(it)).transpose()?;
    let schema = schema.unwrap_or_else(|| json!({}));
    let properties = schema["properties"].as_object();
    let apart = properties.filter(|it| it.keys().all(|name| !args.contains_key(name)));
    let Some(properties) = apart.filter(|it| !it.is_empty()) else {
        let required = request["required"].as_bool().unwrap_or_default();
        args.insert(BODY.to_owned(), described(schema, None, required));
        return Ok(Body::Whole);
    };
    let required = schema["required"].as_array();
    let is_required = |name: &str| required.is_some_and(|it| it.iter().any(|it| it == name));
    for (name, schema) in properties {
        args.insert(name.clone(), described(schema.clone(), None, is_required(name)));
    }
    Ok(Body::Fields(properties.keys().cloned().collect()))
}

fn is_json(media_type: &str) -> bool {
    media_type.split(';').next().is_some_and(|it| it.trim().ends_with("json"))
}
