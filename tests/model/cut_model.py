"""An explicit-state model of the cut: how batch and live meet without a gap or an overlap (docs/ARCHITECTURE.md).

A state is everything that a kill, a power cut or an operator can leave behind: the archive's blocks (durable, visible or
never to reach the disk), the cuts, the runs, speed.db as its readers see it and as the disk has it. `steps` gives every
step that any process or fault can take from there; `problems` says what is wrong with a state. `explore` visits all
states within a configuration's bounds, `walk` goes through larger ones at random.

Each rule of the protocol is a switch. With all of them no reachable state has a problem; without any one of them the
shortest way to a problem is the reason why the rule is there. Where the code keeps a rule stands beside it.

One event stands for one block. A running hash is modelled by what it is for: the events themselves, in order.
"""

import collections
import random

RULES = {
    "stamped_generations": "a block's generation is stamped on it in the archive, not given when it is folded (cut.c)",
    "cut_is_synced": "a cut is durable before anybody uses it (archiver)",
    "sync_on_start": "a store that was not closed cleanly is synced before anything is built on it (sqlite.c)",
    "new_file_after_failed_sync": "after a failed sync what can be read moves to a new file (archiver)",
    "producer_sequence": "a repeated request is acknowledged again, not appended again (archiver)",
    "one_transaction": "live state and offsets move together (fold_loop.c)",
    "chain_check": "the fold goes on only from the archive's own hash, else it starts over (tail.c, rebuild.c)",
    "stamp_check": "... and only if the archive still has the stamp the last block was folded under (rebuild.c)",
    "cuts_check": "... and the cuts on which its generations rest (rebuild.c)",
    "checked_since_boot": "no answer before the store was checked and has caught up since the boot (speed_reader.c)",
    "published_per_view": "a run is published for the views it covers, not for all (publish.c)",
    "offsets_reached": "a run is published once the fold has passed its cut (publish.c)",
    "run_hash_agrees": "a run counts only if the archive still has the events it was made from (publish.c)",
    "cut_names_view": "a run covers only views that its cut names: theirs are the generations that end there (publish.c)",
    "never_older": "a run replaces only an older one (publish.c)",
    "files_open": "a run counts only while batch.db has it as ready and its files are there (publish.c, rebuild.c)",
    "same_definition": "only what was counted by the same definition is added up (publish.c)",
    "building_waits": "a new view does not answer before it has its past (rebuild.c)",
    "shadow_catches_up": "a built view shows up only where its own fold meets the layer's (fold_loop.c)",
    "rejected_is_not_used": "a run that was rejected for a view is never taken for it again (batch_reader.c, publish.c)",
    "rollback_folds_anew": "going back to a run needs the events after its cut again, which were trimmed (go_back.c)",
    "answers_stay": "what is shown stays until the older run and all after it can take its place (go_back.c)",
    "publishing_is_synced": "what readers saw published cannot be taken back by a power cut (publish.c, go_back.c)",
    "rolled_back_together": "views that showed one run and were rolled back together switch together (go_back.c)",
    "newest_good_is_kept": "the newest run not rejected is never deleted, whatever is published (run_retention.c)",
}

# status of a block: on the disk; in the page cache after a kill; in the page cache after a failed sync, marked clean
DURABLE, VISIBLE, HOLE = "durable", "visible", "hole"

Block = collections.namedtuple("Block", "event stamp status")
Cut = collections.namedtuple("Cut", "number events views")  # events: those below it, a tuple a partition
Run = collections.namedtuple("Run", "number events views has_files is_ready")  # views: ((view, definition, counted), ...)
# live: sorted ((generation, event), ...); shadow: how far a building view has folded; back: the view to take its place
View = collections.namedtuple("View", "definition is_ready run cut live shadow back")
Speed = collections.namedtuple("Speed", "folded stamps cuts views")  # a partition: events, last stamp; the cuts known
State = collections.namedtuple(
    "State", "log cuts synced_cuts is_archiver_up pending acked runs definitions speed disk is_checked seen made left"
             " rejected gone")  # rejected: {(run, view, decision or 0 if the view did not show it)}; gone: replaced before

# what may happen how often; `faults` bounds the sum of the last ones
Bounds = collections.namedtuple("Bounds", "partitions views events cuts power_cuts kills failed_syncs losses restores"
                                          " changes deletions readers rollbacks faults")
NO_FAULTS = ("events", "cuts", "readers", "deletions", "rollbacks")


def bounds(partitions=1, views=1, events=2, cuts=1, power_cuts=0, kills=0, failed_syncs=0, losses=0, restores=0,
           changes=0, deletions=0, readers=0, rollbacks=0, faults=3):
    return Bounds(partitions, views, events, cuts, power_cuts, kills, failed_syncs, losses, restores, changes, deletions,
                  readers, rollbacks, faults)


def start(limit):
    """A fresh data folder: all views are ready, all live."""
    nothing = ((),) * limit.partitions
    view = View(definition=0, is_ready=True, run=0, cut=0, live=(), shadow=None, back=None)
    speed = Speed(nothing, (0,) * limit.partitions, (), (view,) * limit.views)
    return State(log=nothing, cuts=(), synced_cuts=0, is_archiver_up=True, pending=None, acked=frozenset(), runs=(),
                 definitions=(0,) * limit.views, speed=speed, disk=speed, is_checked=True, seen=frozenset(), made=0,
                 left=limit, rejected=frozenset(), gone=frozenset())


# ---- reading a state --------------------------------------------------------------------------------------------------

def events_of(log):
    return tuple(tuple(block.event for block in blocks) for blocks in log)


def replaced(items, index, item):
    return items[:index] + (item,) + items[index + 1:]


def run_of(state, number):
    return next((run for run in state.runs if run.number == number), None)


def counted_by(run, view_index):
    return next(((definition, counted) for view, definition, counted in run.views if view == view_index), None)


def is_rejected(state, number, view_index):
    return any((run, view) == (number, view_index) for run, view, _ in state.rejected)


def is_prefix(shorter, longer):
    return all(longer[p][:len(shorter[p])] == shorter[p] for p in range(len(shorter)))


def answer(state, view_index):
    """What a query gets: the published run and the generations above its cut, with the definition each was counted by."""
    view = state.speed.views[view_index]
    counted = [(view.definition, event) for generation, event in view.live if generation > view.cut]
    if view.run:
        run = run_of(state, view.run)
        if run is None or not run.has_files:
            return None
        definition, events = counted_by(run, view_index) or (None, ())
        counted += [(definition, event) for event in events]
    return sorted(counted)


def problems(state, rules):
    in_archive = [event for blocks in state.log for event in (block.event for block in blocks)]
    for event in sorted(state.acked):
        if in_archive.count(event) != 1:
            yield f"acknowledged event {event} is in the archive {in_archive.count(event)} times"
    if any(block.stamp > len(state.cuts) + 1 for blocks in state.log for block in blocks):
        yield "a block is stamped after a cut that nobody knows"
    yield from rollback_problems(state)
    if not state.is_checked and "checked_since_boot" in rules:
        return  # readers are told to wait
    archived = events_of(state.log)
    for v, view in enumerate(state.speed.views):
        if not view.is_ready:
            continue
        if any(len(archived[p]) < len(folded) for p, folded in enumerate(state.speed.folded)):
            yield f"view {v} answers from events that the archive does not have"
            continue
        below = [e for p, folded in enumerate(state.speed.folded) for e in archived[p][:len(folded)]]
        right = sorted((state.definitions[v], event) for event in below)
        got = answer(state, v)
        if got is None:
            yield f"view {v} answers from run {view.run}, whose files are gone"
        elif got != right:
            yield f"view {v} answers {got}, but the archive up to the stated offsets gives {right}"
        elif not state.seen <= {event for _, event in got}:
            yield f"view {v} takes back event(s) {sorted(state.seen - {event for _, event in got})}"


def rollback_problems(state):
    for v, view in enumerate(state.speed.views):
        if view.back is not None and not view.is_ready:
            yield f"view {v} does not answer while it is rolled back"
        if state.is_checked and view.is_ready and (view.run, v) in state.gone:
            yield f"view {v} shows run {view.run} again, which was rejected and had been replaced"
        if view.is_ready and is_rejected(state, view.run, v) and not any(is_good(state, run, v) for run in state.runs):
            yield f"view {v} cannot go back from run {view.run}: all others are gone"
    if not state.is_checked:
        return
    for number, v, decision in state.rejected:
        for other, w, same in state.rejected if decision else ():
            shown, beside = state.speed.views[v], state.speed.views[w]
            if (other, same) == (number, decision) and shown.is_ready and beside.is_ready and \
                    shown.run == number and 0 < beside.run < number:
                yield f"view {v} still shows run {number}, view {w} is rolled back to run {beside.run} already"


# ---- the archiver ------------------------------------------------------------------------------------------------------

def appended(state, p, event, status):
    block = Block(event, stamp=len(state.cuts) + 1, status=status)
    return state._replace(log=replaced(state.log, p, state.log[p] + (block,)))


def spend(state, what):
    left = state.left._replace(**{what: getattr(state.left, what) - 1})
    if what not in NO_FAULTS:
        left = left._replace(faults=left.faults - 1)
    return state._replace(left=left)


def may(state, what):
    return getattr(state.left, what) > 0 and (what in NO_FAULTS or state.left.faults > 0)


def archiver_steps(state, rules):
    if not state.is_archiver_up:
        yield "archiver starts again", start_archiver(state, rules)
        return
    for p in range(len(state.log)):
        if may(state, "events") and state.pending is None:
            event = state.made + 1
            new = spend(state, "events")._replace(made=event)
            yield f"event {event} is appended, synced, acknowledged", appended(new, p, event, DURABLE)._replace(
                acked=state.acked | {event})
            if may(state, "kills"):
                yield f"event {event} is written, archiver killed before the sync", appended(
                    spend(new, "kills"), p, event, VISIBLE)._replace(is_archiver_up=False, pending=(p, event))
            if may(state, "failed_syncs"):
                yield f"event {event} is written, its sync fails, archiver stops", appended(
                    spend(new, "failed_syncs"), p, event, HOLE)._replace(is_archiver_up=False, pending=(p, event))
    if state.pending is not None:
        p, event = state.pending
        again = state._replace(pending=None, acked=state.acked | {event})
        if "producer_sequence" in rules and any(block.event == event for block in state.log[p]):
            yield f"event {event} is sent again, acknowledged as a repeat", again
        else:
            yield f"event {event} is sent again, appended, acknowledged", appended(again, p, event, DURABLE)
    if may(state, "cuts"):
        yield from cut_steps(state, rules)


def start_archiver(state, rules):
    """A hole becomes durable only by moving to a new file; a block that a kill left in the page cache, by a sync."""
    def after_start(block):
        if block.status == VISIBLE and "sync_on_start" in rules:
            return block._replace(status=DURABLE)
        if block.status == HOLE and "new_file_after_failed_sync" in rules:
            return block._replace(status=DURABLE)
        return block
    return state._replace(log=tuple(tuple(map(after_start, blocks)) for blocks in state.log), is_archiver_up=True)


def cut_steps(state, rules):
    every = tuple(range(len(state.definitions)))
    for views in [every] + [(v,) for v in every if len(every) > 1]:
        cut = Cut(len(state.cuts) + 1, events_of(state.log), views)
        new = spend(state, "cuts")._replace(cuts=state.cuts + (cut,))
        synced = len(new.cuts) if "cut_is_synced" in rules else state.synced_cuts
        yield f"cut {cut.number} for views {views}", new._replace(synced_cuts=synced)


# ---- the batch layer ---------------------------------------------------------------------------------------------------

def is_good(state, run, v):
    """Could an operator go back to it?"""
    definition, _ = counted_by(run, v) or (None, ())
    return run.has_files and definition == state.speed.views[v].definition and not is_rejected(state, run.number, v)


def may_delete(state, run, rules):
    for v, _, _ in run.views:
        shown = state.speed.views[v].run
        newer = [other for other in state.runs if other.number > run.number]
        is_superseded = any(is_good(state, other, v) for other in newer) if "newest_good_is_kept" in rules \
            else shown > run.number
        if shown == run.number or not is_superseded:
            return False
    return True


# A run becomes ready at any time after its cut, or never: a held run is one that nobody publishes, and an operator's word
# is this step, late.
def batch_steps(state, rules):
    for cut in state.cuts:
        if run_of(state, cut.number) is None and is_prefix(cut.events, events_of(state.log)):
            below = tuple(sorted(b.event for blocks in state.log for b in blocks if b.stamp <= cut.number))
            views = tuple((v, state.definitions[v], below) for v in cut.views)
            run = Run(cut.number, cut.events, views, has_files=True, is_ready=True)
            yield f"run {cut.number} is ready", state._replace(runs=tuple(sorted(state.runs + (run,))))
    if may(state, "deletions"):
        for i, run in enumerate(state.runs):
            if run.has_files and may_delete(state, run, rules):
                gone = run._replace(has_files=False, is_ready=False)
                yield f"run {run.number} is withdrawn and deleted", spend(state, "deletions")._replace(
                    runs=replaced(state.runs, i, gone))
    if may(state, "rollbacks"):
        yield from decide_steps(state)


def decide_steps(state):
    """`tally rollback`: every newer run is rejected for the views, in batch.db, before anything else happens."""
    every = tuple(range(len(state.speed.views)))
    for views in [every] + [(v,) for v in every if len(every) > 1]:
        for target in state.runs:
            if not all(state.speed.views[v].is_ready and target.number < state.speed.views[v].run and
                       is_good(state, target, v) for v in views):
                continue
            decision = 1 + max([made for _, _, made in state.rejected], default=0)
            new = {(run.number, v, decision if run.number == state.speed.views[v].run else 0)
                   for v in views for run in state.runs if run.number > target.number and
                   counted_by(run, v) is not None and not is_rejected(state, run.number, v)}
            if new:
                yield f"views {views} are rolled back to run {target.number}", spend(state, "rollbacks")._replace(
                    rejected=state.rejected | new)


# ---- the speed layer ---------------------------------------------------------------------------------------------------

def generation_of(state, block, view_index, view, rules):
    """1 + the last cut before the block that names the view."""
    before = block.stamp - 1 if "stamped_generations" in rules else len(state.cuts)
    named = [cut.number for cut in state.cuts if cut.number <= before and view_index in cut.views]
    return 1 + max(named + [view.cut])


def fold_into(state, view_index, block, view, rules):
    if block.stamp <= view.cut and "stamped_generations" in rules:
        return view
    generation = generation_of(state, block, view_index, view, rules)
    return view._replace(live=tuple(sorted(view.live + ((generation, block.event),))))


def with_view(state, v, view):
    return state._replace(speed=state.speed._replace(views=replaced(state.speed.views, v, view)))


def agrees_with_archive(state, rules):
    if "cuts_check" in rules and state.cuts[:len(state.speed.cuts)] != state.speed.cuts:
        return False
    for p, folded in enumerate(state.speed.folded):
        below = state.log[p][:len(folded)]
        if "chain_check" in rules and tuple(block.event for block in below) != folded:
            return False
        if "stamp_check" in rules and below and below[-1].stamp != state.speed.stamps[p]:
            return False
    return True


def fold_steps(state, rules):
    if not agrees_with_archive(state, rules):
        yield "speed layer finds other events in the archive, starts over", rebuilt(state, rules)
        return
    for p, folded in enumerate(state.speed.folded):
        if len(state.log[p]) <= len(folded):
            continue
        block = state.log[p][len(folded)]
        views = tuple(fold_into(state, v, block, view, rules) if view.is_ready else view
                      for v, view in enumerate(state.speed.views))
        moved = Speed(replaced(state.speed.folded, p, folded + (block.event,)),
                      replaced(state.speed.stamps, p, block.stamp), state.cuts, views)
        yield f"event {block.event} is folded", state._replace(speed=moved)
        if "one_transaction" not in rules and may(state, "kills"):
            yield f"event {block.event} is folded, speed layer killed before it stores the offset", spend(
                state, "kills")._replace(speed=state.speed._replace(views=views))


def is_usable(state, run, view_index, rules, is_shown=False):
    """May a view stand on this run? On the one that it shows also while it is being rolled back."""
    definition, _ = counted_by(run, view_index) or (None, ())
    if definition is None:
        return False
    if "rejected_is_not_used" in rules and not is_shown and is_rejected(state, run.number, view_index):
        return False
    if "same_definition" in rules and definition != state.speed.views[view_index].definition:
        return False
    if "run_hash_agrees" in rules:
        cut = next((cut for cut in state.cuts if cut.number == run.number), None)
        if cut is None or cut.events != run.events or not is_prefix(run.events, events_of(state.log)):
            return False
        if "cut_names_view" in rules and view_index not in cut.views:
            return False
    return (run.is_ready and run.has_files) or "files_open" not in rules


def has_reached(state, run):
    return all(len(state.speed.folded[p]) >= len(run.events[p]) for p in range(len(run.events)))


def publish_steps(state, rules):
    for run in state.runs:
        if "offsets_reached" in rules and not has_reached(state, run):
            continue
        views, chosen = list(state.speed.views), False
        for v, view in enumerate(views):
            newer = run.number > view.cut or "never_older" not in rules
            if view.is_ready and run.number != view.run and newer and is_usable(state, run, v, rules):
                kept = tuple((g, e) for g, e in view.live if g > run.number)
                views[v] = view._replace(run=run.number, cut=run.number, live=kept, back=None)
                chosen = True
        if chosen and "published_per_view" not in rules:  # one number for all hides every view's generations up to it
            views = [view._replace(cut=run.number, live=tuple((g, e) for g, e in view.live if g > run.number))
                     for view in views]
        if chosen:
            yield f"run {run.number} is published", published(state, tuple(views), rules)


def published(state, views, rules):
    speed = state.speed._replace(views=views)
    return state._replace(speed=speed, disk=speed if "publishing_is_synced" in rules else state.disk)


def build_steps(state, rules):
    """A building view takes a run, folds from its cut in the shadow, and shows up where it meets the layer's own fold."""
    for v, view in enumerate(state.speed.views):
        if view.is_ready:
            continue
        if view.shadow is None:
            for run in state.runs:
                if has_reached(state, run) and is_usable(state, run, v, rules):
                    shadow = tuple(len(events) for events in run.events)
                    yield f"view {v} builds on run {run.number}", with_view(
                        state, v, view._replace(run=run.number, cut=run.number, live=(), shadow=shadow))
            continue
        for label, further in catch_up_steps(state, v, view, rules):
            yield label, with_view(state, v, further)
        if has_caught_up(state, view) or "shadow_catches_up" not in rules:
            yield f"view {v} is ready", with_view(state, v, view._replace(is_ready=True, shadow=None))


def has_caught_up(state, view):
    return all(view.shadow[p] >= len(folded) for p, folded in enumerate(state.speed.folded))


def catch_up_steps(state, v, view, rules):
    """A view that has a tail of its own comes nearer to the layer's."""
    for p, folded in enumerate(state.speed.folded):
        if view.shadow[p] < min(len(folded), len(state.log[p])):
            block = state.log[p][view.shadow[p]]
            further = fold_into(state, v, block, view, rules)
            yield f"event {block.event} is folded into the shadow of view {v}", further._replace(
                shadow=replaced(view.shadow, p, view.shadow[p] + 1))


def rollback_steps(state, rules):
    """A view that shows a rejected run: an older one and all events since its cut, in the shadow, take its place."""
    for number in sorted({run for run, _, _ in state.rejected}):
        group = {v: view for v, view in enumerate(state.speed.views)
                 if view.run == number and (view.is_ready or view.back) and is_rejected(state, number, v)}
        bases = {v: next((run for run in reversed(state.runs) if run.number < number and is_usable(state, run, v, rules)),
                         None) for v in group}
        if group and None not in bases.values():
            yield from go_back_steps(state, number, group, bases, rules)


def go_back_steps(state, number, group, bases, rules):
    stale = [v for v, view in group.items() if view.back is None or view.back.run != bases[v].number]
    if stale:
        yield f"views {stale} begin to go back from run {number}", state._replace(speed=state.speed._replace(
            views=tuple(begin_to_go_back(view, bases[v], rules) if v in stale else view
                        for v, view in enumerate(state.speed.views))))
        return
    for v, view in group.items():
        for label, further in catch_up_steps(state, v, view.back, rules):
            yield label, with_view(state, v, view._replace(back=further))
    met = [v for v, view in group.items() if has_caught_up(state, view.back) or "shadow_catches_up" not in rules]
    if len(met) == len(group) or (met and "rolled_back_together" not in rules):
        yield f"views {met} have gone back from run {number}", published(
            state, tuple(view.back._replace(is_ready=True, shadow=None) if v in met else view
                         for v, view in enumerate(state.speed.views)), rules)


def begin_to_go_back(view, run, rules):
    if "rollback_folds_anew" not in rules:
        return view._replace(run=run.number, cut=run.number)
    back = View(view.definition, False, run.number, run.number, (), tuple(map(len, run.events)), None)
    return view._replace(back=back, is_ready="answers_stay" in rules)


def rebuilt(state, rules):
    """A new store: each view on the newest run it can stand on, folding from the oldest of their cuts."""
    bases = []
    for v, view in enumerate(state.speed.views):
        usable = [run for run in state.runs if is_usable(state, run, v, rules)]
        bases.append(usable[-1] if usable else None)
    runs = [run for run in bases if run is not None]
    folded = min(runs).events if runs else ((),) * len(state.log)
    stamps = tuple(state.log[p][len(events) - 1].stamp if events and len(events) <= len(state.log[p]) else 0
                   for p, events in enumerate(folded))
    views = []
    for v, view in enumerate(state.speed.views):
        number = bases[v].number if bases[v] else 0
        is_ready = bases[v] is not None or not runs
        views.append(View(view.definition, is_ready, number, number, (), None, None))
    speed = Speed(folded, stamps, state.cuts, tuple(views))  # under a new name, synced: the old one never comes back
    return state._replace(speed=speed, disk=speed, is_checked=False)


def check_steps(state, rules):
    """After a boot or a rebuild: readers wait until the store is known to be the archive's, and to miss nothing of it."""
    if state.is_checked or not agrees_with_archive(state, rules):
        return
    shown = [(v, run_of(state, view.run)) for v, view in enumerate(state.speed.views) if view.run]
    if any(run is None or not is_usable(state, run, v, rules, is_shown=True) for v, run in shown):
        yield "a published run is not usable, speed layer starts over", rebuilt(state, rules)
    elif all(len(folded) >= len(state.log[p]) for p, folded in enumerate(state.speed.folded)):
        yield "speed layer has caught up, readers may go on", state._replace(is_checked=True)


# ---- faults and people -------------------------------------------------------------------------------------------------

def after_power_cut(state):
    def on_disk(blocks):
        lost = next((i for i, block in enumerate(blocks) if block.status != DURABLE), len(blocks))
        return blocks[:lost]
    return state._replace(log=tuple(map(on_disk, state.log)), cuts=state.cuts[:state.synced_cuts],
                          is_archiver_up=False, speed=state.disk, is_checked=False)


def following_definitions(state, rules):
    """The speed layer starts: a view whose definition is not the stored one is a new view."""
    is_ready = not any(state.speed.folded) or "building_waits" not in rules
    for v, view in enumerate(state.speed.views):
        if view.definition != state.definitions[v]:
            state = with_view(state, v, View(state.definitions[v], is_ready, 0, 0, (), None, None))
    return state


def changed(state, v):
    return state._replace(definitions=replaced(state.definitions, v, state.definitions[v] + 1))


def fault_steps(state, rules):
    if may(state, "power_cuts"):
        if state.disk != state.speed:
            yield "speed.db reaches the disk", state._replace(disk=state.speed)
        yield "power cut", following_definitions(after_power_cut(spend(state, "power_cuts")), rules)
    if may(state, "losses"):
        yield "speed.db is lost", rebuilt(spend(state, "losses"), rules)
    if may(state, "restores") and state.log != ((),) * len(state.log):
        empty = ((),) * len(state.log)  # from a backup that was taken before the first event
        yield "the archive is restored from an old backup", spend(state, "restores")._replace(
            log=empty, cuts=(), synced_cuts=0, acked=frozenset(), seen=frozenset(), is_checked=False)
    if may(state, "changes"):
        for v in range(len(state.definitions)):
            yield f"definition of view {v} is changed", following_definitions(changed(spend(state, "changes"), v), rules)
    if may(state, "readers") and (state.is_checked or "checked_since_boot" not in rules):
        ready = [v for v, view in enumerate(state.speed.views) if view.is_ready]
        got = [answer(state, v) for v in ready]
        seen = frozenset(event for rows in got if rows for _, event in rows) & state.acked
        if ready and seen - state.seen:
            yield f"a reader sees {sorted(seen)}", spend(state, "readers")._replace(seen=state.seen | seen)


def replacements_seen(state):
    """Rejected runs in whose place readers may have seen something else."""
    views = state.speed.views
    return state.gone | {(run, v) for run, v, _ in state.rejected if views[v].is_ready and views[v].run != run}


def steps(state, rules):
    for source in (archiver_steps, batch_steps, fold_steps, publish_steps, build_steps, rollback_steps, check_steps,
                   fault_steps):
        for label, following in source(state, rules):
            if following.rejected and following.is_checked:
                following = following._replace(gone=replacements_seen(following))
            yield label, following


# ---- visiting states ---------------------------------------------------------------------------------------------------

Result = collections.namedtuple("Result", "states problem path is_complete")


def explore(limit, rules, states_max=10**9):
    """Breadth first, so the first problem found is one of the shortest ways to any."""
    first = start(limit)
    came_from = {first: None}
    queue = collections.deque([first])
    while queue:
        state = queue.popleft()
        problem = next(problems(state, rules), None)
        if problem is not None:
            return Result(len(came_from), problem, path_to(came_from, state), False)
        for label, following in steps(state, rules):
            if following not in came_from:
                came_from[following] = (state, label)
                queue.append(following)
        if len(came_from) > states_max:
            return Result(len(came_from), None, [], False)
    return Result(len(came_from), None, [], True)


def path_to(came_from, state):
    path = []
    while came_from[state] is not None:
        state, label = came_from[state]
        path.append(label)
    return path[::-1]


def walk(limit, rules, seed, length):
    """One random walk: the problem it met or None, its path, and the state it ended in."""
    chance = random.Random(seed)
    state, path = start(limit), []
    for _ in range(length):
        choices = list(steps(state, rules))
        if not choices:
            break
        label, state = chance.choice(choices)
        path.append(label)
        problem = next(problems(state, rules), None)
        if problem is not None:
            return problem, path, state
    return None, path, state


def settles(state, rules):
    """Without further faults and after some more cuts: is every event folded, every view ready, every reader answered?"""
    quiet = state._replace(left=state.left._replace(events=0, cuts=4, faults=0, deletions=0, readers=0, rollbacks=0))
    for _ in range(300):
        following = next(steps(quiet, rules), None)
        if following is None:
            break
        quiet = following[1]
    return quiet.is_checked and quiet.speed.folded == events_of(quiet.log) and next(problems(quiet, rules), None) is None \
        and all(view.is_ready and not is_rejected(quiet, view.run, v) for v, view in enumerate(quiet.speed.views))
