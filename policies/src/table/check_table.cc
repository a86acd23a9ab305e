#include "table/check_table.h"

#include <algorithm>
#include <optional>
#include <set>

namespace interlock::policies {
namespace {

using Op = Predicate::Op;

std::string_view RootName(Root root) {
  switch (root) {
    case Root::kArgs:
      return "args";
    case Root::kFacts:
      return "facts";
    case Root::kSession:
      return "session";
    case Root::kUser:
      return "user";
    case Root::kTenant:
      return "tenant";
    case Root::kNow:
      return "now";
    case Root::kCall:
      return "call";
    case Root::kPrincipal:
      return "principal";
    case Root::kFlow:
      return "flow";
    case Root::kContent:
      return "content";
  }
  return "";
}

void AddPaths(const Constant& constant, std::set<int>& paths) {
  if (constant.kind == Constant::Kind::kPath) paths.insert(constant.path);
}

void AddPaths(const Predicate& predicate, std::set<int>& paths) {
  AddPaths(predicate.constant, paths);
  for (const Constant& one : predicate.constants) AddPaths(one, paths);
  for (const Predicate& part : predicate.parts) AddPaths(part, paths);
}

void AddPaths(const TextTemplate& text, std::set<int>& paths) {
  for (const TextTemplate::Part& part : text.parts) {
    if (part.path >= 0) paths.insert(part.path);
  }
}

void AddPaths(const Change& change, std::set<int>& paths) {
  if (change.kind == Change::Kind::kPath) paths.insert(change.path);
}

const core::Json* SubSchema(const core::Json* schema, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (schema == nullptr || !schema->is_object()) return nullptr;
    const auto properties = schema->find("properties");
    if (properties == schema->end() || !properties->is_object()) return nullptr;
    const auto found = properties->find(name);
    schema = found == properties->end() ? nullptr : &*found;
  }
  return schema;
}

// Whether a schema that says `types` can hold a value that the constant may be compared with.
bool TypeFits(const core::Json& type, Constant::Kind kind) {
  if (type.is_array()) {
    return std::any_of(type.begin(), type.end(),
                       [&](const core::Json& one) { return TypeFits(one, kind); });
  }
  if (!type.is_string()) return true;
  const std::string& name = type.get_ref<const std::string&>();
  const bool number = name == "number" || name == "integer";
  switch (kind) {
    case Constant::Kind::kText:
      return name == "string";
    case Constant::Kind::kBoolean:
      return name == "boolean";
    case Constant::Kind::kMoney:
      return number || name == "string";
    case Constant::Kind::kPath:
      return true;
    default:
      return number;
  }
}

// The least and the most that conditions on one number leave, in the unit of their constants.
struct Range {
  std::optional<double> least{}, most{};
  bool least_open = false, most_open = false;

  void Take(const Predicate& predicate) {
    const Constant& bound = predicate.constant;
    const bool number = bound.kind == Constant::Kind::kInteger ||
                        bound.kind == Constant::Kind::kNumber ||
                        bound.kind == Constant::Kind::kMoney;
    if (!number) return;
    const double at =
        bound.kind == Constant::Kind::kNumber ? bound.number : static_cast<double>(bound.integer);
    const bool open = predicate.op == Op::kLess || predicate.op == Op::kMore;
    if (predicate.op == Op::kMore || predicate.op == Op::kAtLeast || predicate.op == Op::kEqual) {
      if (!least || at > *least || (at == *least && open)) least_open = open;
      least = std::max(at, least.value_or(at));
    }
    if (predicate.op == Op::kLess || predicate.op == Op::kAtMost || predicate.op == Op::kEqual) {
      if (!most || at < *most || (at == *most && open)) most_open = open;
      most = std::min(at, most.value_or(at));
    }
  }

  bool Empty() const {
    if (!least || !most) return false;
    return *least > *most || (*least == *most && (least_open || most_open));
  }
};

class TableChecker {
 public:
  TableChecker(const Program& program, const Rule& rule, const std::vector<KnownTool>& tools,
               std::vector<Finding>& findings)
      : program_(program), rule_(rule), tools_(tools), findings_(findings) {}

  void Run() {
    for (const Condition& condition : rule_.table->where) {
      CheckRange(condition);
      const ContextPath& path = program_.paths().at(condition.path);
      if (path.root != Root::kArgs) continue;
      std::vector<const core::Json*> schemas;
      for (const KnownTool& tool : tools_) {
        if (!program_.Applies(rule_, tool.name, tool.effect)) continue;
        const core::Json* schema = SubSchema(&tool.input_schema, path.names);
        if (schema == nullptr) return;  // a tool that may hold anything there
        schemas.push_back(schema);
      }
      if (!schemas.empty()) CheckValues(condition.predicate, path.text, schemas);
    }
  }

 private:
  void Report(std::string code, const std::string& message) {
    findings_.push_back({.file = rule_.place.file,
                         .line = rule_.place.line,
                         .severity = "error",
                         .code = std::move(code),
                         .message = "rule `" + rule_.id + "`: " + message});
  }

  void CheckRange(const Condition& condition) {
    Range range;
    range.Take(condition.predicate);
    if (condition.predicate.op == Op::kAll) {
      for (const Predicate& part : condition.predicate.parts) range.Take(part);
    }
    if (!range.Empty()) return;
    Report("NEVER_MATCHES", "no value of `" + program_.paths().at(condition.path).text + "` is " +
                                ShowPredicate(condition.predicate, program_.paths()));
  }

  void CheckValues(const Predicate& predicate, const std::string& name,
                   const std::vector<const core::Json*>& schemas) {
    switch (predicate.op) {
      case Op::kOptional:
      case Op::kNot:
      case Op::kAny:
      case Op::kAll:
        for (const Predicate& part : predicate.parts) CheckValues(part, name, schemas);
        return;
      case Op::kOneOf:
      case Op::kNoneOf:
        for (const Constant& one : predicate.constants) CheckWhole(one, name, schemas);
        return;
      case Op::kEqual:
      case Op::kNotEqual:
        return CheckWhole(predicate.constant, name, schemas);
      case Op::kLess:
      case Op::kAtMost:
      case Op::kMore:
      case Op::kAtLeast:
      case Op::kPrefix:
      case Op::kSuffix:
      case Op::kLike:
        CheckType(predicate.constant, name, schemas);
        return;
      default:
        return;
    }
  }

  bool CheckType(const Constant& constant, const std::string& name,
                 const std::vector<const core::Json*>& schemas) {
    const bool fits = std::any_of(schemas.begin(), schemas.end(), [&](const core::Json* schema) {
      return !schema->is_object() || !schema->contains("type") ||
             TypeFits((*schema)["type"], constant.kind);
    });
    if (fits) return true;
    Report("TYPE", "`" + name + "` is " + core::CanonicalJson((*schemas[0])["type"]) +
                       " by the tool's schema, and is compared with " +
                       ShowConstant(constant, program_.paths()));
    return false;
  }

  void CheckWhole(const Constant& constant, const std::string& name,
                  const std::vector<const core::Json*>& schemas) {
    const bool fits = CheckType(constant, name, schemas);
    if (fits && constant.kind == Constant::Kind::kText) CheckEnum(constant.text, name, schemas);
  }

  // Only for whole values: a prefix of one is not in the enum.
  void CheckEnum(const std::string& text, const std::string& name,
                 const std::vector<const core::Json*>& schemas) {
    std::vector<std::string> values;
    for (const core::Json* schema : schemas) {
      if (!schema->is_object() || !schema->contains("enum")) return;
      for (const core::Json& value : (*schema)["enum"]) {
        if (value.is_string()) values.push_back(value.get<std::string>());
      }
    }
    if (std::find(values.begin(), values.end(), text) != values.end()) return;
    Report("NEVER_MATCHES", "`" + name + "` is never \"" + text + "\" by the tool's schema" +
                                DidYouMean(text, values));
  }

  const Program& program_;
  const Rule& rule_;
  const std::vector<KnownTool>& tools_;
  std::vector<Finding>& findings_;
};

}  // namespace

std::vector<FieldAccess> FieldsOf(const TableRule& rule, const PathTable& paths, int line) {
  std::set<int> numbers;
  for (const Condition& condition : rule.where) {
    numbers.insert(condition.path);
    AddPaths(condition.predicate, numbers);
  }
  for (const TextTemplate* text : {&rule.say, &rule.because, &rule.key}) AddPaths(*text, numbers);
  for (const TextTemplate& approver : rule.approvers) AddPaths(approver, numbers);
  for (const auto& [path, change] : rule.changes) AddPaths(change, numbers);
  AddPaths(rule.amount, numbers);
  numbers.insert(rule.change_paths.begin(), rule.change_paths.end());
  numbers.insert(rule.show.begin(), rule.show.end());
  std::vector<FieldAccess> fields;
  for (const int number : numbers) {
    const ContextPath& path = paths.at(number);
    FieldAccess access{.path = {std::string(RootName(path.root))}, .line = line};
    if (path.root == Root::kContent) access.path[0] = std::string(RulePhaseName(path.phase));
    access.path.insert(access.path.end(), path.names.begin(), path.names.end());
    fields.push_back(std::move(access));
  }
  return fields;
}

void CheckTable(const Program& program, const Rule& rule, const std::vector<KnownTool>& tools,
                std::vector<Finding>& findings) {
  TableChecker(program, rule, tools, findings).Run();
}

}  // namespace interlock::policies
