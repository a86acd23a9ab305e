// Predicates as people read them.
#include "core/json.h"
#include "core/money.h"
#include "lua_money.h"
#include "table/predicate.h"

namespace interlock::policies {
namespace {

using Op = Predicate::Op;

std::string Join(const Predicate& predicate, std::string_view word, const PathTable& paths) {
  std::string text = "(";
  for (const Predicate& part : predicate.parts) {
    if (&part != &predicate.parts.front()) text.append(" ").append(word).append(" ");
    text += ShowPredicate(part, paths);
  }
  return text + ")";
}

std::string ShowSet(const Predicate& predicate, const PathTable& paths) {
  std::string text;
  for (const Constant& one : predicate.constants) {
    if (&one != &predicate.constants.front()) text += ", ";
    text += ShowConstant(one, paths);
  }
  return text;
}

std::string ShowKinds(const DetectWanted& wanted) {
  std::string text;
  if (wanted.options.pii) text += " pii";
  if (wanted.options.secrets) text += " secret";
  if (wanted.options.injection) text += " injection";
  return text;
}

std::string ShowFields(const Predicate& predicate, const PathTable& paths) {
  std::string text = "{ ";
  for (std::size_t i = 0; i < predicate.parts.size(); ++i) {
    text +=
        (i == 0 ? "" : ", ") + predicate.names[i] + " " + ShowPredicate(predicate.parts[i], paths);
  }
  return text + " }";
}

std::string Words(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? " " : " or ") + name;
  return text;
}

std::string_view Sign(Op op) {
  switch (op) {
    case Op::kEqual:
      return "== ";
    case Op::kNotEqual:
      return "~= ";
    case Op::kLess:
      return "< ";
    case Op::kAtMost:
      return "<= ";
    case Op::kMore:
      return "> ";
    case Op::kAtLeast:
      return ">= ";
    case Op::kPrefix:
      return "begins with ";
    case Op::kSuffix:
      return "ends with ";
    case Op::kLike:
      return "is like ";
    default:
      return "has ";
  }
}

}  // namespace

std::string ShowConstant(const Constant& constant, const PathTable& paths) {
  switch (constant.kind) {
    case Constant::Kind::kText:
      return core::CanonicalJson(core::Json(constant.text));
    case Constant::Kind::kInteger:
      return std::to_string(constant.integer);
    case Constant::Kind::kNumber:
      return ShortestDecimal(constant.number);
    case Constant::Kind::kBoolean:
      return constant.boolean ? "true" : "false";
    case Constant::Kind::kMoney:
      return core::FormatMoney({.minor = constant.integer, .currency = constant.text});
    case Constant::Kind::kPath:
      break;
  }
  return paths.at(constant.path).text;
}

std::string ShowPredicate(const Predicate& predicate, const PathTable& paths) {
  switch (predicate.op) {
    case Op::kOneOf:
      return "is one of " + ShowSet(predicate, paths);
    case Op::kNoneOf:
      return "is none of " + ShowSet(predicate, paths);
    case Op::kMatches:
      return "matches a pattern";
    case Op::kDetects:
      return "holds" + ShowKinds(*predicate.wanted);
    case Op::kPresent:
      return "is present";
    case Op::kAbsent:
      return "is absent";
    case Op::kOptional:
      return "is absent or " + ShowPredicate(predicate.parts[0], paths);
    case Op::kNot:
      return "is not: " + ShowPredicate(predicate.parts[0], paths);
    case Op::kAny:
      return Join(predicate, "or", paths);
    case Op::kAll:
      return Join(predicate, "and", paths);
    case Op::kEach:
      return "each " + ShowPredicate(predicate.parts[0], paths);
    case Op::kSome:
      return "some " + ShowPredicate(predicate.parts[0], paths);
    case Op::kFields:
      return ShowFields(predicate, paths);
    case Op::kLength:
      return "length " + ShowPredicate(predicate.parts[0], paths);
    case Op::kDaysAway:
      return "days away " + ShowPredicate(predicate.parts[0], paths);
    case Op::kTrusted:
      return "is trusted";
    case Op::kFrom:
      return "is from" + Words(predicate.names);
    case Op::kTagged:
      return "is tagged" + Words(predicate.names);
    case Op::kReadableBy:
      return "is readable by " + ShowConstant(predicate.constant, paths);
    default:
      return std::string(Sign(predicate.op)) + ShowConstant(predicate.constant, paths);
  }
}

}  // namespace interlock::policies
