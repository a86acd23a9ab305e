#include "policies/meta.h"

#include <algorithm>
#include <cctype>
#include <set>

namespace interlock::policies {
namespace {

constexpr int kTypeDepthMax = 8;

// What every bundle has, whatever its tools are.
constexpr std::string_view kEnvironment = R"lua(
---@class interlock.Money
---@field minor integer
---@field amount string
---@field currency string
---@operator add(interlock.Money): interlock.Money
---@operator sub(interlock.Money): interlock.Money
---@operator mul(integer): interlock.Money
---@operator unm: interlock.Money

---@class interlock.Verdict
---@class interlock.Selector
---@alias interlock.Per "tenant"|"agent"|"principal"|"user"|"run"|"key"
---@class interlock.Level
---@field per interlock.Per
---@field limit interlock.Money|integer
---@field window? string
---@field optional? boolean
---@class interlock.BudgetSpec
---@field unit string
---@field per? interlock.Per
---@field limit? interlock.Money|integer
---@field window? string
---@field levels? interlock.Level[]
---@field charges? "model"
---@field doc? string
---@class interlock.Budget
---@class interlock.Term

---@class interlock.Patterns
local Patterns = {}
---@param text string
---@return string?
function Patterns:find(text) end
---@param text string
---@return boolean
function Patterns:matches(text) end

---@class interlock.CallInfo
---@field tool string
---@field effect "read"|"write"|"money"|"egress"
---@field id string
---@field run string
---@field agent string
---@field caller? string
---@field depth integer
---@field step integer

---@class interlock.Principal
---@field id string
---@field roles string[]

---@class interlock.Flow
---@field untrusted boolean

---@class interlock.Text
---@field text string

---@class interlock.Context
---@field session table<string, any>
---@field user string
---@field principal interlock.Principal
---@field call interlock.CallInfo
---@field tenant string
---@field now integer
---@field flow interlock.Flow
---@field args any
---@field facts any
---@field message interlock.Text
---@field result any
---@field answer interlock.Text

---@class interlock.Found
---@field kind string
---@field group "pii"|"secret"|"injection"
---@field confidence "low"|"medium"|"high"
---@field path string
---@field first integer
---@field last integer

---@alias interlock.Kinds string|string[]
---@alias interlock.On string|interlock.Selector|(string|interlock.Selector)[]

---@return interlock.Verdict
function allow() end
---@param spec { code: string, say?: string, because?: any, fix?: table<string, any> }
---@return interlock.Verdict
function deny(spec) end
---@class interlock.Stage
---@field approvers string[]
---@field quorum? integer
---@param spec { approvers?: string[], quorum?: integer, stages?: interlock.Stage[], expires: string, escalate?: { after: string, to: string[] }, remind?: string, show?: string[], say?: string }
---@return interlock.Verdict
function require_approval(spec) end
---@param changes table<string, any>
---@return interlock.Verdict
function modify(changes) end
---@param spec { key: string, max: integer, per: string }
---@return interlock.Verdict
function limit(spec) end
---@param budget interlock.Budget
---@param amount interlock.Money|integer
---@param key? string
---@return interlock.Verdict
function reserve(budget, amount, key) end
---@param spec { budget: interlock.Budget, key?: string, level?: string }
---@return interlock.Money|integer
function spent(spec) end
---@param tags table<string, string[]>
---@return interlock.Verdict
function label(tags) end
---@param text string
---@return interlock.Verdict
function note(text) end

---@param name string
---@return fun(spec: { owner: string, tools: interlock.On, version?: string, default?: "deny", layer?: "org"|"team"|"agent", owns?: interlock.On, doc?: string })
function policy(name) end
---@param name string
---@return fun(spec: table)
function rule(name) end
---@param name string
---@return fun(spec: { tool: string, args?: table<string, any>, on?: interlock.On, doc?: string })
function fact(name) end
---@param name string
---@return fun(spec: interlock.BudgetSpec): interlock.Budget
function budget(name) end
---@param name string
---@return fun(spec: { tool: interlock.On, key: string, within: string, of?: string, unit?: string, optional?: boolean, doc?: string })
function velocity(name) end
---@param name string
---@return fun(spec: { rule: string, owner: string, expires: string, on?: interlock.On, where?: table, ticket?: string, doc?: string })
function exception(name) end
---@param name string
---@return fun(spec: { never: "allow"|"ask"|"modify"|"deny"|fun(c: interlock.Context, d: { verdict: string, code: string }): boolean?, on?: interlock.On, where?: table, doc?: string })
function invariant(name) end
---@param name string
---@return fun(spec: table)
function test(name) end
---@param code string
function failed(code) end
---@param name "read"|"write"|"money"|"egress"
---@return interlock.Selector
function effect(name) end
---@return interlock.Selector
function message() end
---@param of interlock.On
---@return interlock.Selector
function result(of) end
---@return interlock.Selector
function answer() end

---@param node any
---@param field? string
---@return boolean
function present(node, field) end
---@generic T
---@param node any
---@param field string
---@param otherwise T
---@return T
function get(node, field, otherwise) end
---@param facts any
---@param name string
---@return string?
function fact_error(facts, name) end
---@param spec { rule?: string, tool?: string, velocity?: string, key: string|integer|boolean, within: string }
---@return integer
function count(spec) end

---@param amount number|string
---@return interlock.Money
function usd(amount) end
---@param amount number|string
---@return interlock.Money
function eur(amount) end
---@param amount number|string
---@return interlock.Money
function gbp(amount) end
---@param amount number|string
---@return interlock.Money
function jpy(amount) end
---@param amount string
---@param currency string
---@return interlock.Money
function money(amount, currency) end
---@param value any
---@param currency string
---@return interlock.Money
function money_of(value, currency) end
---@param value any
---@param currency string
---@return interlock.Money
function money_rounded(value, currency) end
---@param minor integer
---@param currency string
---@return interlock.Money
function money_minor(minor, currency) end

---@param point string|integer
---@return integer
function time(point) end
---@param from string|integer
---@param to string|integer
---@return integer
function days_between(from, to) end
---@param from string|integer
---@param to string|integer
---@return integer
function hours_between(from, to) end
---@param from string|integer
---@param to string|integer
---@return integer
function seconds_between(from, to) end

---@param whole any
---@param part any
---@return boolean
function contains(whole, part) end
---@param text string
---@param with string
---@return boolean
function starts_with(text, with) end
---@param text string
---@param with string
---@return boolean
function ends_with(text, with) end
---@param glob string
---@param text string
---@return boolean
function glob(glob, text) end
---@param text string
---@return string
function trim(text) end
---@param text string
---@return string
function lower(text) end
---@param text string
---@param by string
---@return string[]
function split(text, by) end
---@param list any
---@param holds fun(value: any): boolean?
---@return boolean
function any(list, holds) end
---@param list any
---@param holds fun(value: any): boolean?
---@return boolean
function all(list, holds) end
---@param list any
---@param holds fun(value: any): boolean?
---@return any
function find(list, holds) end
---@param list any
---@param holds fun(value: any): boolean?
---@return any[]
function filter(list, holds) end
---@param list any
---@param of fun(value: any): any
---@return any[]
function map(list, of) end
---@param list any
---@param of? fun(value: any): any
---@return any
---@overload fun(spec: { tool?: string, velocity?: string, key: string|integer|boolean, of?: string, within: string }): interlock.Money|integer
function sum(list, of) end
---@param list any
---@param value any
---@return integer
function count_of(list, value) end
---@param object any
---@return string[]
function keys(object) end
---@param list any
---@return table<any, true>
function set(list) end
---@param list table<string, string>
---@return interlock.Patterns
function patterns(list) end

---@param value any
---@param kinds? interlock.Kinds
---@param least? "low"|"medium"|"high"
---@return interlock.Found[]
function pii(value, kinds, least) end
---@param value any
---@param kinds? interlock.Kinds
---@param least? "low"|"medium"|"high"
---@return interlock.Found[]
function secrets(value, kinds, least) end
---@param value any
---@param kinds? interlock.Kinds
---@param least? "low"|"medium"|"high"
---@return interlock.Found[]
function injection(value, kinds, least) end
---@param value any
---@param kinds? interlock.Kinds
---@param least? "low"|"medium"|"high"
---@return boolean
function has_pii(value, kinds, least) end
---@param value any
---@param kinds? interlock.Kinds
---@param least? "low"|"medium"|"high"
---@return boolean
function has_secret(value, kinds, least) end
---@param value any
---@param kinds? interlock.Kinds
---@param least? "low"|"medium"|"high"
---@return boolean
function has_injection(value, kinds, least) end
---@param text string
---@param kinds? interlock.Kinds
---@param least? "low"|"medium"|"high"
---@return string
function redact(text, kinds, least) end

---@param node any
---@param field? string
---@return boolean
function trusted(node, field) end
---@param node any
---@param field? string
---@return string[]
function sources(node, field) end
---@param node any
---@param field? string
---@return string[]
function tags(node, field) end
---@param node any
---@param field? string
---@return string[]
function readers(node, field) end
---@return boolean
function from(node, field, names) end

---@return interlock.Term
function field(path) end
---@return interlock.Term
function eq(value) end
---@return interlock.Term
function ne(value) end
---@return interlock.Term
function lt(value) end
---@return interlock.Term
function le(value) end
---@return interlock.Term
function gt(value) end
---@return interlock.Term
function ge(value) end
---@return interlock.Term
function between(least, most) end
---@return interlock.Term
function one_of(...) end
---@return interlock.Term
function none_of(...) end
---@return interlock.Term
function prefix(text) end
---@return interlock.Term
function suffix(text) end
---@return interlock.Term
function like(glob) end
---@return interlock.Term
function matches(patterns) end
---@return interlock.Term
function has(value) end
---@return interlock.Term
function detects(kinds, least) end
---@return interlock.Term
function length(of) end
---@return interlock.Term
function days_away(of) end
---@return interlock.Term
function each(of) end
---@return interlock.Term
function some(of) end
---@return interlock.Term
function absent() end
---@return interlock.Term
function optional(of) end
---@return interlock.Term
function is_not(of) end
---@return interlock.Term
function any_of(...) end
---@return interlock.Term
function all_of(...) end
---@return interlock.Term
function tagged(...) end
---@return interlock.Term
function readable_by(who) end
---@return interlock.Term
function masked(kinds, least) end
---@return interlock.Term
function at_most(value) end
---@return interlock.Term
function at_least(value) end
)lua";

// "refunds.create" as part of a class name.
std::string ClassName(std::string_view tool) {
  std::string name;
  for (const char c : tool) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
}

bool IsLuaName(const std::string& name) {
  const auto word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
  };
  return !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0 &&
         std::all_of(name.begin(), name.end(), word);
}

// A text that stays in its comment and in its quotes, whatever a schema holds.
std::string OneLine(std::string_view text) {
  std::string line;
  for (const char c : text.substr(0, 200)) {
    line += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? ' ' : c;
  }
  return line;
}

const core::Json* Find(const core::Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

class Writer {
 public:
  // Declares the class and those of its objects.
  void Class(const std::string& name, const core::Json& schema, int depth = 0) {
    std::string text = "---@class " + name + "\n";
    const core::Json* properties = Find(schema, "properties");
    if (properties == nullptr || !properties->is_object()) {
      text += "---@field [string] any\n";
    } else {
      for (const auto& [field, inner] : properties->items()) {
        const std::string shown = IsLuaName(field) ? field : "[" + Quoted(field) + "]";
        const std::string type = TypeOf(inner, name + "." + ClassName(field), depth);
        const core::Json* doc = Find(inner, "description");
        text += "---@field " + shown + " " + type;
        if (doc != nullptr && doc->is_string()) text += " " + OneLine(doc->get<std::string>());
        text += '\n';
      }
    }
    out_ += text + "\n";
  }

  void Append(const std::string& text) { out_ += text; }
  std::string Take() { return std::move(out_); }

  static std::string Quoted(const std::string& text) {
    return core::CanonicalJson(core::Json(OneLine(text)));
  }

 private:
  std::string TypeOf(const core::Json& schema, const std::string& name, int depth) {
    if (const core::Json* choices = Find(schema, "enum"); choices != nullptr) return Enum(*choices);
    const core::Json* type = Find(schema, "type");
    if (type != nullptr && type->is_array()) {
      std::string all;
      for (const core::Json& one : *type) {
        core::Json single = schema;
        single["type"] = one;
        if (one == "null") continue;  // null reads as absent
        all += (all.empty() ? "" : "|") + TypeOf(single, name, depth);
      }
      return all.empty() ? "any" : all;
    }
    if (type == nullptr || !type->is_string() || depth > kTypeDepthMax) return "any";
    const std::string& word = type->get_ref<const std::string&>();
    if (word == "string" || word == "number" || word == "integer" || word == "boolean") return word;
    if (word == "array") {
      const core::Json* items = Find(schema, "items");
      return (items == nullptr ? "any" : TypeOf(*items, name, depth + 1)) + "[]";
    }
    const core::Json* properties = Find(schema, "properties");
    if (word != "object" || properties == nullptr) return word == "object" ? "table" : "any";
    Class(name, schema, depth + 1);
    return name;
  }

  static std::string Enum(const core::Json& choices) {
    std::string all;
    for (const core::Json& one : choices) {
      if (one.is_string()) all += (all.empty() ? "" : "|") + Quoted(one.get<std::string>());
    }
    return all.empty() ? "any" : "(" + all + ")";
  }

  std::string out_;
};

}  // namespace

std::string LuaMeta(const Bundle& bundle) {
  Writer writer;
  writer.Append(std::string(kMetaMark) +
                "\n-- Written by `interlock policy meta` from the tools' schemas; do not edit.\n");
  std::string overloads;
  for (const KnownTool& tool : bundle.tools()) {
    const std::string name = ClassName(tool.name);
    writer.Class("interlock.Args." + name, tool.input_schema);
    core::Json facts = {{"properties", core::Json::object()}};
    for (const FactDecl& fact : bundle.FactsFor(tool.name)) {
      const auto look_up =
          std::find_if(bundle.tools().begin(), bundle.tools().end(),
                       [&](const KnownTool& one) { return one.name == fact.tool; });
      facts["properties"][fact.name] =
          look_up == bundle.tools().end() ? core::Json::object() : look_up->result_schema;
    }
    writer.Class("interlock.Facts." + name, facts);
    writer.Append("---@class interlock.Call." + name + " : interlock.Context\n---@field args " +
                  "interlock.Args." + name + "\n---@field facts interlock.Facts." + name + "\n\n");
    for (const char* options : {"", "options: table, "}) {
      overloads += "---@overload fun(selector: " + Writer::Quoted(tool.name) + ", name: string, " +
                   options + "check: fun(c: interlock.Call." + name + "): interlock.Verdict?)\n";
    }
  }
  writer.Append(overloads +
                "---@overload fun(selector: interlock.On, name: string, check: fun(c: "
                "interlock.Context): interlock.Verdict?)\n"
                "---@param selector interlock.On\n---@param name string\n---@param options table\n"
                "---@param check fun(c: interlock.Context): interlock.Verdict?\n"
                "function on(selector, name, options, check) end\n");
  writer.Append(std::string(kEnvironment));
  return writer.Take();
}

}  // namespace interlock::policies
