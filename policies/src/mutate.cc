#include "policies/mutate.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "bundle_data.h"
#include "case_run.h"
#include "lua_tokens.h"
#include "rule_engine.h"

namespace interlock::policies {
namespace {

// What a word or sign becomes, or nothing.
std::optional<std::string> Swapped(const LuaToken& token) {
  static const std::map<std::string_view, std::string_view> kSwaps = {
      {"<=", "<"},           {"<", "<="},           {">=", ">"},           {">", ">="},
      {"==", "~="},          {"~=", "=="},          {"and", "or"},         {"or", "and"},
      {"not", ""},           {"le", "lt"},          {"lt", "le"},          {"ge", "gt"},
      {"gt", "ge"},          {"eq", "ne"},          {"ne", "eq"},          {"one_of", "none_of"},
      {"none_of", "one_of"}, {"any_of", "all_of"},  {"all_of", "any_of"},  {"each", "some"},
      {"some", "each"},      {"present", "absent"}, {"absent", "present"}, {"any", "all"},
      {"all", "any"},        {"is_not", "all_of"}};
  if (token.kind == LuaToken::Kind::kName || token.kind == LuaToken::Kind::kSign) {
    const auto found = kSwaps.find(token.text);
    if (found != kSwaps.end()) return std::string(found->second);
  }
  if (token.kind != LuaToken::Kind::kNumber) return std::nullopt;
  std::int64_t number = 0;
  const char* end = token.text.data() + token.text.size();
  const auto parsed = std::from_chars(token.text.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return std::to_string(number + 1);
}

// Offsets of a file that belong to a rule: from `on` or `rule` at the left margin of nesting to the
// end of its call. Declarations around them are no behaviour that tests could see one by one.
class RuleSpans {
 public:
  explicit RuleSpans(const std::vector<LuaToken>& tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const bool starts = depth_ == 0 && tokens[i].kind == LuaToken::Kind::kName &&
                          (tokens[i].text == "on" || tokens[i].text == "rule");
      if (starts) inside_from_ = i;
      Step(tokens[i]);
      inside_.push_back(inside_from_.has_value() && !InExamples(tokens, i));
      if (inside_from_ && i > *inside_from_ && depth_ == 0 && Closes(tokens[i])) {
        inside_from_.reset();
      }
    }
  }

  bool Inside(std::size_t token) const { return inside_[token]; }

 private:
  static bool Opens(const LuaToken& token) {
    return token.text == "(" || token.text == "{" || token.text == "[";
  }
  static bool Closes(const LuaToken& token) {
    return token.text == ")" || token.text == "}" || token.text == "]";
  }
  void Step(const LuaToken& token) {
    if (token.kind != LuaToken::Kind::kSign) return;
    if (Opens(token)) ++depth_;
    if (Closes(token)) --depth_;
  }
  // Examples are tests: changing one proves nothing.
  bool InExamples(const std::vector<LuaToken>& tokens, std::size_t i) {
    if (tokens[i].text == "examples") examples_depth_ = depth_;
    if (examples_depth_ && tokens[i].text == "}" && depth_ <= *examples_depth_) {
      examples_depth_.reset();
      return true;
    }
    return examples_depth_.has_value();
  }

  int depth_ = 0;
  std::optional<std::size_t> inside_from_;
  std::optional<int> examples_depth_;
  std::vector<bool> inside_;
};

class Mutator {
 public:
  Mutator(const std::vector<BundleFile>& files, const std::vector<KnownTool>& tools,
          const std::vector<BundleFile>& test_files)
      : files_(files), tools_(tools) {
    tests_.Load(test_files, Program::What::kTests, report_.errors);
  }

  MutationReport Run() {
    const auto bundle = Bundle::Load(files_, tools_, &report_.errors);
    std::erase_if(report_.errors, [](const Finding& one) { return one.severity != "error"; });
    if (!bundle.ok() || !report_.errors.empty()) return std::move(report_);
    const std::string failing = FirstFailure(*bundle, std::nullopt);
    if (!failing.empty()) {
      report_.errors.push_back({.severity = "error",
                                .code = "TEST",
                                .message = "test `" + failing + "` fails as it is; mend it first"});
      return std::move(report_);
    }
    LeaveRulesOut(*bundle);
    for (std::size_t file = 0; file < files_.size(); ++file) MutateFile(file);
    std::stable_sort(report_.mutants.begin(), report_.mutants.end(),
                     [](const Mutant& a, const Mutant& b) {
                       return std::tie(a.file, a.line) < std::tie(b.file, b.line);
                     });
    return std::move(report_);
  }

 private:
  // The name of the first case that is not as it expects, or "".
  std::string FirstFailure(const std::shared_ptr<const Bundle>& bundle,
                           std::optional<std::size_t> without) const {
    auto program = std::make_unique<Program>();
    std::vector<Finding> ignored;
    program->Load(bundle->files(), Program::What::kPolicies, ignored);
    RuleEngine engine(bundle, std::move(program));
    engine.LeaveOut(without);
    for (const TestCase& test : tests_.tests()) {
      if (!RunCase(*bundle, engine, test, {}).passed) return test.name;
    }
    return "";
  }

  bool Full() {
    report_.cut = report_.cut || report_.mutants.size() + report_.refused >= kMutantsMax;
    return report_.cut;
  }

  void LeaveRulesOut(const std::shared_ptr<const Bundle>& bundle) {
    Program program;
    std::vector<Finding> ignored;
    program.Load(bundle->files(), Program::What::kPolicies, ignored);
    for (std::size_t i = 0; i < program.rules().size() && !Full(); ++i) {
      const Rule& rule = program.rules()[i];
      if (rule.shadow) continue;  // it counts for nothing either way
      report_.mutants.push_back({.file = rule.place.file,
                                 .line = rule.place.line,
                                 .change = "rule " + rule.id + " was left out",
                                 .killed_by = FirstFailure(bundle, i)});
    }
  }

  void MutateFile(std::size_t file) {
    const std::vector<LuaToken> tokens = LuaTokens(files_[file].text);
    const RuleSpans spans(tokens);
    for (std::size_t i = 0; i < tokens.size() && !Full(); ++i) {
      if (!spans.Inside(i) || IsField(tokens, i)) continue;
      const std::optional<std::string> becomes = Swapped(tokens[i]);
      if (becomes) Try(file, tokens[i], *becomes);
    }
  }

  // `x.all`, or a key such as `any = …`: a name of data, no operator.
  static bool IsField(const std::vector<LuaToken>& tokens, std::size_t i) {
    if (tokens[i].kind != LuaToken::Kind::kName) return false;
    const bool member = i > 0 && (tokens[i - 1].text == "." || tokens[i - 1].text == ":");
    const bool key = i + 1 < tokens.size() && tokens[i + 1].text == "=";
    return member || key;
  }

  void Try(std::size_t file, const LuaToken& token, const std::string& becomes) {
    std::vector<BundleFile> changed = files_;
    changed[file].text.replace(token.begin, token.text.size(), becomes);
    std::vector<Finding> findings;
    const auto bundle = Bundle::Load(std::move(changed), tools_, &findings);
    Mutant mutant{.file = files_[file].path,
                  .line = token.line,
                  .change = "`" + std::string(token.text) + "` " +
                            (becomes.empty() ? "was left out" : "became `" + becomes + "`")};
    if (bundle.ok()) {
      mutant.killed_by = FirstFailure(*bundle, std::nullopt);
    } else if (std::any_of(findings.begin(), findings.end(),
                           [](const Finding& one) { return one.code == "EXAMPLE"; })) {
      mutant.killed_by = "an example";
    } else {
      ++report_.refused;
      return;
    }
    report_.mutants.push_back(std::move(mutant));
  }

  const std::vector<BundleFile>& files_;
  const std::vector<KnownTool>& tools_;
  Program tests_;
  MutationReport report_;
};

}  // namespace

std::size_t MutationReport::killed() const {
  return static_cast<std::size_t>(std::count_if(
      mutants.begin(), mutants.end(), [](const Mutant& one) { return !one.killed_by.empty(); }));
}

int MutationReport::score() const {
  return mutants.empty() ? 0 : static_cast<int>(killed() * 100 / mutants.size());
}

MutationReport MutatePolicies(const std::vector<BundleFile>& files,
                              const std::vector<KnownTool>& tools,
                              const std::vector<BundleFile>& test_files) {
  return Mutator(files, tools, test_files).Run();
}

}  // namespace interlock::policies
