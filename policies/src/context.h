// The decision's input as rules see it: `c`, a tree of read-only userdata over borrowed JSON.
//
// A field that is absent, null or unknown raises; it is never nil. Objects on the usual paths
// (c.args.x) keep what was read in a table behind `__index`, so that the second look costs no call
// into C++; elements of arrays are plain. Nothing of one decision can be reached in the next.
#pragma once

#include <string>
#include <vector>

#include "policies/decision.h"
#include "vm.h"

namespace interlock::policies {

// One per Vm, which it borrows. Every method that takes a lua_State may raise.
class Context {
 public:
  explicit Context(Vm& vm);
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // Makes the root. Call once, in a protected call, before the first Begin.
  void Create(lua_State* lua);
  // Points the tree at another input; raises nothing and allocates nothing in Lua. `schema` (the
  // tool's input schema, may be null) tells a misspelt argument from one that was left out.
  void Begin(const DecisionInput& input, const core::Json* args_schema);
  void End();
  void PushRoot(lua_State* lua) const;
  const DecisionInput& input() const { return *input_; }

  // The JSON value behind a node at `index`; nullptr if it is no node of JSON.
  static const core::Json* JsonAt(lua_State* lua, int index);
  static bool IsNode(lua_State* lua, int index);
  // Pushes the value of the key at `key` in the node at `index`, or raises.
  static void PushMember(lua_State* lua, int index, int key);
  // Pushes a table of the keys of the object at `index`, sorted by bytes; raises for other nodes.
  static void PushKeys(lua_State* lua, int index);

  // present(node, path), get(node, path, default), fact_error(c.facts, name).
  static int Present(lua_State* lua);
  static int Get(lua_State* lua);
  static int FactError(lua_State* lua);

  // Where a node's label stands, with the field at `key_index` when there is one; raises for what
  // is no node.
  static std::string LabelPath(lua_State* lua, int index, int key_index);

  // The value at "args.a.b", "facts.order.status", "session.x" or "user", or nullptr. For `show`.
  const core::Json* AtPath(std::string_view path);

 private:
  enum class Shape { kRoot, kJson, kFacts, kCall, kPrincipal, kFlow };
  struct Node {
    Shape shape = Shape::kJson;
    const core::Json* value = nullptr;
    const core::Json* schema = nullptr;
    int parent = -1;
    std::string_view key{};  // in the parent object, or empty
    std::int64_t index = 0;  // in the parent array, from 1, or 0
    bool cached = false;
  };
  struct CachedRefs {
    int userdata = LUA_NOREF;
    int backing = LUA_NOREF;
  };

  static Context& ContextOf(lua_State* lua, int index);
  static int NodeIndexAt(lua_State* lua, int index);
  static int IndexCached(lua_State* lua);
  static int IndexPlain(lua_State* lua);
  static int Length(lua_State* lua);
  static int Equal(lua_State* lua);
  static int RefuseWrite(lua_State* lua);

  std::string PathOf(int node) const;
  void PushNode(lua_State* lua, const Node& node);
  void MakeCached(lua_State* lua, int node);
  // Pushes the member, or pushes nothing and says false when it is absent or null. Raises for a
  // name that cannot be there.
  bool TryPush(lua_State* lua, int node, int key);
  bool TryPushRoot(lua_State* lua, int node, std::string_view key);
  bool TryPushFact(lua_State* lua, int node, std::string_view key);
  bool TryPushCall(lua_State* lua, std::string_view key);
  bool TryPushPrincipal(lua_State* lua, int node, std::string_view key);
  bool TryPushJson(lua_State* lua, int node, int key);
  bool TryPushPath(lua_State* lua, int node_index, int key_index);
  bool PushValue(lua_State* lua, const Node& node);
  const Fact* FindFact(std::string_view name) const;
  [[noreturn]] void RaiseAbsent(lua_State* lua, int node, int key) const;
  void CheckKnown(lua_State* lua, const Node& node, int index, std::string_view key) const;

  Vm& vm_;
  const DecisionInput* input_ = nullptr;
  const core::Json* args_schema_ = nullptr;
  std::vector<Node> nodes_;
  std::vector<CachedRefs>
      cached_;  // pool of cached nodes; entry i serves the i-th one of a decision
  std::vector<int> cached_nodes_;  // nodes_ index of pool entry i
  std::size_t cached_used_ = 0;
  core::Json roles_;  // c.principal.roles, made when asked for
  core::Json user_;
};

}  // namespace interlock::policies
