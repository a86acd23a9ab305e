#include "table/table_rule.h"

#include <algorithm>

#include "core/check.h"
#include "core/json.h"
#include "lua_money.h"

namespace interlock::policies {
namespace {

// Builds the verdict of a rule whose conditions hold. Every method says false where a value is
// missing or does not fit, and then has said why.
class VerdictMaker {
 public:
  VerdictMaker(const TableRule& rule, const std::string& id, PathValues& values)
      : rule_(rule), id_(id), values_(values) {}

  bool Make(RuleVerdict& out, const std::vector<BudgetDecl>& budgets) {
    out.kind = rule_.verdict;
    out.code = rule_.code;
    if (!Fill(rule_.say, out.say) || !Fill(rule_.because, out.because)) return false;
    out.say = CutToSay(std::move(out.say));
    out.because = CutToSay(std::move(out.because));
    switch (rule_.verdict) {
      case VerdictKind::kDeny:
      case VerdictKind::kModify:
        return MakeChanges(out.changes);
      case VerdictKind::kAsk:
        return MakeDemand(out.demand, out.say);
      case VerdictKind::kLimit:
        return MakeLimit(out.limit);
      case VerdictKind::kReserve:
        return MakeAmount(out, budgets[rule_.budget]);
      case VerdictKind::kLabel:
        out.labels = rule_.labels;
        return true;
      default:
        return true;
    }
  }

  std::string error;

 private:
  bool Fail(std::string text) {
    error = std::move(text);
    return false;
  }

  bool Fill(const TextTemplate& text, std::string& out) {
    return FillTemplate(text, values_, out, error);
  }

  bool MakeChanges(core::Json& out) {
    if (rule_.changes.empty()) return true;
    out = core::Json::object();
    for (std::size_t i = 0; i < rule_.changes.size(); ++i) {
      const auto& [path, change] = rule_.changes[i];
      if (!Apply(change, rule_.change_paths[i], out[path])) return false;
    }
    return true;
  }

  bool Apply(const Change& change, int at, core::Json& out) {
    if (change.kind == Change::Kind::kConstant) {
      out = change.constant;
      return true;
    }
    const int from = change.kind == Change::Kind::kPath ? change.path : at;
    const Operand& value = values_.Get(from);
    if (value.kind == Operand::Kind::kAbsent) return Fail(values_.WhyAbsent(from));
    out = JsonOf(value);
    if (change.kind == Change::Kind::kMasked) return Mask(*change.wanted, values_.path(at), out);
    if (change.kind != Change::Kind::kPath) return Bound(change, values_.path(at), out);
    return true;
  }

  // Every text inside, at any depth; names of fields stay.
  bool Mask(const DetectWanted& wanted, const ContextPath& path, core::Json& value) {
    if (value.is_structured()) {
      for (core::Json& inner : value) {
        if (!Mask(wanted, path, inner)) return false;
      }
      return true;
    }
    if (!value.is_string()) return true;
    const std::string& text = value.get_ref<const std::string&>();
    std::int64_t work = 0;
    const auto found = Look(text, path.names.empty() ? "" : path.names.back(), wanted, work);
    if (!found.ok()) return Fail(std::string(core::Message(found.status())));
    value = Masked(text, *found);
    return true;
  }

  bool Bound(const Change& change, const ContextPath& path, core::Json& value) {
    if (!value.is_number()) return Fail("`" + path.text + "` is no number to be bounded");
    const double number = value.get<double>();
    const bool beyond =
        change.kind == Change::Kind::kAtMost ? number > change.bound : number < change.bound;
    if (beyond) value = change.constant;
    return true;
  }

  bool FillApprovers(const std::vector<TextTemplate>& templates, std::vector<std::string>& out) {
    for (const TextTemplate& approver : templates) {
      std::string text;
      if (!Fill(approver, text)) return false;
      if (!IsApprover(text)) return Fail("`" + text.substr(0, 64) + "` is no approver");
      out.push_back(std::move(text));
    }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return true;
  }

  bool MakeDemand(ApprovalDemand& out, const std::string& say) {
    out = rule_.demand;
    out.say = say;
    if (!FillApprovers(rule_.approvers, out.approvers)) return false;
    for (std::size_t i = 0; i < rule_.later.size(); ++i) {
      if (!FillApprovers(rule_.later[i], out.later[i].approvers)) return false;
    }
    if (!FillApprovers(rule_.escalate_to, out.escalate_to)) return false;
    out.show = core::Json::object();
    if (rule_.show.empty()) out.show["args"] = *values_.input().args;
    for (const int path : rule_.show) {
      const Operand& value = values_.Get(path);
      if (value.kind == Operand::Kind::kAbsent) return Fail(values_.WhyAbsent(path));
      out.show[values_.path(path).text] = JsonOf(value);
    }
    return true;
  }

  bool MakeLimit(LimitUse& out) {
    out = rule_.limit;
    std::string key;
    if (!Fill(rule_.key, key)) return false;
    if (key.empty() || key.size() > kKeyBytesMax) return Fail("a key has 1 to 256 bytes");
    out.key = id_ + "/" + key;
    return true;
  }

  bool MakeAmount(RuleVerdict& out, const BudgetDecl& budget) {
    out.budget = rule_.budget;
    out.levels = rule_.levels;
    if (rule_.keyed) {
      if (!Fill(rule_.key, out.limit.key)) return false;
      const std::size_t size = out.limit.key.size();
      if (size == 0 || size > kKeyBytesMax) return Fail("a key has 1 to 256 bytes");
    }
    if (rule_.amount.kind == Change::Kind::kConstant) {
      out.amount = rule_.amount.constant.get<std::int64_t>();
      return true;
    }
    const auto amount = AmountAt(rule_.amount.path, budget.unit, rule_.money, values_, error);
    if (amount) out.amount = *amount;
    return amount.has_value();
  }

  const TableRule& rule_;
  const std::string& id_;
  PathValues& values_;
};

}  // namespace

bool FillTemplate(const TextTemplate& text, PathValues& values, std::string& out,
                  std::string& error) {
  for (const TextTemplate::Part& part : text.parts) {
    if (part.path < 0) {
      out += part.text;
      continue;
    }
    const Operand& value = values.Get(part.path);
    switch (value.kind) {
      case Operand::Kind::kAbsent:
        error = values.WhyAbsent(part.path);
        return false;
      case Operand::Kind::kText:
        out += value.text;
        break;
      case Operand::Kind::kInteger:
        out += std::to_string(value.integer);
        break;
      case Operand::Kind::kNumber:
        out += ShortestDecimal(value.number);
        break;
      case Operand::Kind::kBoolean:
        out += value.boolean ? "true" : "false";
        break;
      default:
        error = "`" + values.path(part.path).text + "` is " + std::string(KindName(value.kind)) +
                " and cannot stand inside a text";
        return false;
    }
  }
  return true;
}

std::optional<std::int64_t> AmountAt(int path, const std::string& unit, bool money,
                                     PathValues& values, std::string& error) {
  const Operand& value = values.Get(path);
  const std::string& name = values.path(path).text;
  std::int64_t amount = 0;
  if (value.kind == Operand::Kind::kAbsent) {
    error = values.WhyAbsent(path);
    return std::nullopt;
  }
  if (money) {
    const auto minor = MinorUnits(value, unit, *core::MinorDigits(unit));
    if (!minor.ok()) {
      error = "`" + name + "`: " + std::string(core::Message(minor.status()));
      return std::nullopt;
    }
    amount = *minor;
  } else if (value.kind == Operand::Kind::kInteger) {
    amount = value.integer;
  } else {
    error = "`" + name + "` is " + std::string(KindName(value.kind)) + ", not a whole number of " +
            unit;
    return std::nullopt;
  }
  if (amount >= 0) return amount;
  error = "`" + name + "` is negative";
  return std::nullopt;
}

Truth Holds(const std::vector<Condition>& where, Evaluation& evaluation) {
  bool doubt = false;
  for (const Condition& condition : where) {
    PathValues& values = *evaluation.values;
    const Truth truth = Evaluate(condition.predicate, values.Get(condition.path), condition.path,
                                 values.path(condition.path).text, evaluation);
    if (truth == Truth::kFalse) return truth;
    doubt = doubt || truth == Truth::kError;
  }
  return doubt ? Truth::kError : Truth::kTrue;
}

TableEnd RunTableRule(const TableRule& rule, const TableRun& run,
                      const std::vector<BudgetDecl>& budgets, PathValues& values) {
  TableEnd end;
  Evaluation evaluation{.values = &values, .work_left = run.work_max};
  const Truth truth = Holds(rule.where, evaluation);
  end.work = run.work_max - evaluation.work_left;
  if (truth == Truth::kFalse) return end;
  if (truth == Truth::kError) {
    // Once more for the words: the same values give the same error.
    Evaluation again{.values = &values, .work_left = run.work_max, .explain = true};
    Holds(rule.where, again);
    end.error_code = again.out_of_work ? "FUEL" : "RULE_ERROR";
    end.error = std::move(again.error);
    return end;
  }
  VerdictMaker maker(rule, run.id, values);
  RuleVerdict verdict{.line = run.line};
  if (maker.Make(verdict, budgets)) {
    end.verdict = std::move(verdict);
  } else {
    end.error_code = "RULE_ERROR";
    end.error = std::move(maker.error);
  }
  return end;
}

std::string WhyNotApplicable(const TableRule& rule, PathValues& values, const PathTable& paths) {
  Evaluation evaluation{.values = &values};
  for (const Condition& condition : rule.where) {
    const Operand& value = values.Get(condition.path);
    const std::string& name = paths.at(condition.path).text;
    const Truth truth = Evaluate(condition.predicate, value, condition.path, name, evaluation);
    if (truth != Truth::kFalse) continue;
    return name + " " + ShowOperand(value) +
           " is not: " + ShowPredicate(condition.predicate, paths);
  }
  return "";
}

}  // namespace interlock::policies
