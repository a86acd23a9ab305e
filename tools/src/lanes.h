// Which requests share a connection by HTTP/2. libcurl looks for one within a lane only, and not
// by itself: in 7.88 who waits for a connection has no time limit, a request may be written to one
// that is not there yet, and one that answers nobody gets ever more of them (ADR 75). So
// - a lane has few members, of one origin: as many die with a connection,
// - one of them at a time may be without a connection; the others wait for it,
// - after a bad end a lane takes nobody more; its members go on, and its connections are closed
//   behind the last.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

namespace interlock::tools {

using Lane = std::uint32_t;  // 0: none, the request shares nothing

// One per thread.
class Lanes {
 public:
  // A connection costs 63 KiB of memory, and what comes on it costs a look at each member.
  static constexpr int kMembersMax = 32;
  // In its life. Servers send a connection away behind 1,000 (nginx), or behind 1,000 that it has
  // reset (nghttp2), as libcurl 7.88 does with most that have ended.
  static constexpr int kRequestsMax = 500;

  enum class Stage { kWaits, kConnects, kConnected };  // of a member
  enum class Turn { kStart, kWait, kElsewhere };       // of one that waits
  enum class Ended { kWell, kBadly };
  enum class After { kNothing, kWake, kClose };  // the others are to look for input; nobody is left

  // A new member, which waits. 0: the origin does not share.
  Lane Join(const std::string& origin);
  Turn TurnOf(Lane lane) const;
  void Connects(Lane lane);  // the member whose turn it is
  void Connected(Lane lane);
  After Leave(Lane lane, Stage stage, Ended ended);
  // The origin of the lane speaks HTTP/1.1.
  void SharesNothing(Lane lane);

  // Whether it became somebody's turn since the last call.
  bool TakeTurned();

 private:
  struct Members {
    std::string origin;
    int all = 0;
    int waiting = 0;
    int requests = 0;
    bool connects = false;
    bool closed = false;
  };
  struct Origin {
    std::vector<Lane> lanes;  // that take members
    bool shares_nothing = false;
  };

  Lane Add(Origin& origin, Lane lane);
  void Close(Lane lane, Members& members);

  std::map<Lane, Members> lanes_;
  std::unordered_map<std::string, Origin> origins_;
  Lane last_ = 0;
  bool turned_ = false;
};

}  // namespace interlock::tools
