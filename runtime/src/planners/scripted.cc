#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>

#include "runtime/planners.h"
#include "script.h"

namespace interlock::runtime {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kScriptsCached = 256;
constexpr tools::YamlLimits kScriptLimits{
    .bytes_max = 8 << 20, .depth_max = 40, .nodes_max = 200'000};

bool IsScriptName(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

// Scripts by name, read again when they changed. Thread-safe.
class Scripts {
 public:
  explicit Scripts(std::string folder) : folder_(std::move(folder)) {}

  core::StatusOr<std::shared_ptr<const Script>> Get(const std::string& name) {
    const fs::path path = fs::path(folder_) / (name + ".yaml");
    std::error_code error;
    Stamp stamp;
    stamp.time = fs::last_write_time(path, error);
    if (!error) stamp.size = fs::file_size(path, error);
    if (error) return core::NotFound("no script `" + path.string() + "`");
    {
      const std::lock_guard lock(mutex_);
      const auto it = cache_.find(name);
      if (it != cache_.end() && it->second.stamp == stamp) return it->second.script;
    }
    INTERLOCK_ASSIGN_OR_RETURN(auto script, Read(path.string()));
    const std::lock_guard lock(mutex_);
    if (cache_.size() >= kScriptsCached) cache_.clear();
    cache_[name] = {stamp, script};
    return script;
  }

 private:
  struct Stamp {
    fs::file_time_type time;
    std::uintmax_t size = 0;
    bool operator==(const Stamp&) const = default;
  };
  struct Cached {
    Stamp stamp;
    std::shared_ptr<const Script> script;
  };

  static core::StatusOr<std::shared_ptr<const Script>> Read(const std::string& path) {
    INTERLOCK_ASSIGN_OR_RETURN(const auto documents, tools::LoadYaml(path, kScriptLimits));
    if (documents.size() != 1)
      return core::InvalidArgument(path + ": a script is one yaml document");
    INTERLOCK_ASSIGN_OR_RETURN(Script script, ScriptFromYaml(documents[0], path));
    return std::make_shared<const Script>(std::move(script));
  }

  const std::string folder_;
  std::mutex mutex_;
  std::map<std::string, Cached> cache_;
};

class ScriptedPlanner final : public Planner {
 public:
  explicit ScriptedPlanner(ScriptedOptions options) : scripts_(std::move(options.folder)) {}

  std::uint64_t Propose(PlanRequest request,
                        std::function<void(core::StatusOr<Plan>)> done) override {
    done(Answer(request));
    return 0;
  }
  policies::ModelUse Bound(const PlanRequest&) const override { return {.free = true}; }
  void Cancel(std::uint64_t) override {}  // every request is answered before Propose returns

 private:
  core::StatusOr<Plan> Answer(const PlanRequest& request) {
    INTERLOCK_ASSIGN_OR_RETURN(const std::string name, ScriptName(request));
    INTERLOCK_ASSIGN_OR_RETURN(const auto script, scripts_.Get(name));
    const auto spoken =
        std::count_if(request.messages.begin(), request.messages.end(),
                      [](const ChatMessage& message) { return message.role == Role::kAssistant; });
    return PlanOfStep(*script, static_cast<std::size_t>(spoken), request);
  }

  static core::StatusOr<std::string> ScriptName(const PlanRequest& request) {
    std::string name = request.agent;
    if (request.session.is_object() && request.session.contains("script")) {
      const core::Json& wanted = request.session["script"];
      if (!wanted.is_string()) return core::InvalidArgument("`session.script` must be text");
      name = wanted.get<std::string>();
    }
    if (name.empty()) return core::InvalidArgument("the session names no script; set `script`");
    if (!IsScriptName(name)) {
      return core::InvalidArgument("`session.script` must be [a-z0-9_-], at most 64 bytes");
    }
    return name;
  }

  Scripts scripts_;
};

}  // namespace

core::StatusOr<std::unique_ptr<Planner>> MakeScriptedPlanner(ScriptedOptions options) {
  std::error_code error;
  if (!fs::is_directory(options.folder, error)) {
    return core::NotFound("no folder `" + options.folder + "` of scripts");
  }
  return std::unique_ptr<Planner>(std::make_unique<ScriptedPlanner>(std::move(options)));
}

}  // namespace interlock::runtime
