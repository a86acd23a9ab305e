// Makes boxes: the processes, ids and control groups of one, up to the point where it waits for a
// call.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "box.h"
#include "ground.h"

namespace interlock::sandbox {

// Immutable.
class Maker {
 public:
  Maker(const Ground& ground, const std::array<Filter, kProfiles>& filters)
      : ground_(ground), filters_(filters) {}

  // What boxes of the pool are like.
  Shape UsualShape() const;
  // Null with `problem`. When the box's process is there and could not be set up, it is killed and
  // returned all the same, with `problem`: whoever owns it reaps it.
  std::unique_ptr<Box> Make(unsigned slot, Profile profile, const Shape& shape,
                            std::string& problem) const;

 private:
  std::unique_ptr<BoxGroup> MakeGroup(unsigned slot, std::string& problem) const;
  bool MapIds(const Box& box, const Shape& shape, std::string& problem) const;

  const Ground& ground_;
  const std::array<Filter, kProfiles>& filters_;
};

}  // namespace interlock::sandbox
