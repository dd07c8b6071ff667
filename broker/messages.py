"""Every error and every problem of a field as a sentence, in the reader's language.

The domain raises codes; here stands what each one says: what is wrong and what to do.
``tests/broker/test_messages.py`` holds that no code is without its sentence.
"""

from __future__ import annotations

from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _l

from broker.explanations import RULE_NAMES
from models.errors import DomainError, InvalidInput

SENTENCES = {
    # Lives
    "post_transition": _l("This post is “%(now)s” and cannot become “%(then)s”. Reload the page to see its present state."),
    "match_transition": _l("This match is “%(now)s” and cannot become “%(then)s”. Reload the page to see its present state."),
    "agreement_transition": _l("This agreement is “%(now)s” and cannot become “%(then)s”. Reload the page to see its present state."),
    "round_transition": _l("This round is “%(now)s” and cannot become “%(then)s”. Reload the page to see its present state."),
    "proposal_transition": _l("This proposal is “%(now)s” and cannot become “%(then)s”. Reload the page to see its present state."),
    "entry_transition": _l("This entry is “%(now)s” and cannot become “%(then)s”. Reload the page to see its present state."),
    # Permissions
    "write_entry": _l("Your role does not write in the directories. Governments, providers, task forces and moderators do."),
    "edit_entry": _l("Only the organisation of this entry and its moderators may change it."),
    "moderate_entry": _l("Only the secretariat, or the coordinator of that subregion, may review this entry, and never one of their own organisation."),
    "edit_post": _l("Only the organisation that posted this may change it."),
    "post_kind": _l("Your role does not post this. Governments post needs and offers; providers and task forces post offers."),
    "endorse_post": _l("Only a focal point of the organisation that posts may endorse this need."),
    "conflict_of_interest": _l("You have a conflict of interest with %(subject)s, so you cannot decide on this. Ask a colleague to do it."),
    "lift_own_conflict": _l("You cannot lift a conflict of interest that you declared yourself. Ask a colleague of the secretariat."),
    "suggest_pairing": _l("Only task forces, the secretariat, and coordinators for needs of their subregion may suggest a pairing."),
    "look_for_partners": _l("Only the task force itself, the secretariat and the coordinators may look for pilot partners here."),
    "edit_task_force": _l("Only the officers of this task force may change its page."),
    "answer_invitation": _l("Only the invited organisation may answer this invitation."),
    "invite_delegate": _l("Only a focal point may invite colleagues to write needs of her country."),
    "moderate_post": _l("Only the secretariat, or the coordinator of that subregion, may review this post, and never one of their own organisation."),
    "see_balance": _l("Only the organisation that posted this and its moderators may read its balance."),
    "match_side": _l("Only the organisation that posted the need or the one that posted the offer may do this."),
    "answer_own_interest": _l("The other side answers your interest; you cannot answer it yourself."),
    "agreement_party": _l("Only the parties of this agreement may do this."),
    "ask_pool": _l("Only the secretariat, the subregion’s coordinator and task forces may ask countries to pool their needs."),
    "pool_member": _l("Only the countries whose needs are to be pooled may answer this."),
    "secretariat_only": _l("Only the secretariat may do this."),
    "sign_in_needed": _l("Please sign in first."),
    "role_needed": _l("Your role does not open this page."),
    "bad_credentials": _l("The e-mail address or the password is not right. Check both and try again."),
    "bad_token": _l("This token opens nothing: it is unknown, revoked or expired, or it is not sent as “Authorization: Bearer …”. Make a new one under “My account”."),
    "scope_needed": _l("This token is not for that: it lacks the scope “%(scope)s”, or your role does not have it."),
    "account_closed": _l("This account is closed. Write to the secretariat to open it again."),
    # Conflicts
    "entry_changed": _l("Somebody else has changed this entry in the meantime. Compare both versions and save again."),
    "entry_not_public": _l("Nobody else can read %(reference)s yet, so it cannot be cited."),
    "already_cited": _l("%(reference)s cites this entry already."),
    "practice_not_completed": _l("What came of %(reference)s can be told once it is completed."),
    "practice_told": _l("%(organisation)s is already writing what came of this agreement."),
    "practice_not_permitted": _l("Not every party shows what was done: %(organisations)s. Ask them to allow it on the agreement’s page of parties."),
    "interest_exists": _l("Interest in this match has been expressed already. Look at the match for the answer."),
    "no_open_interest": _l("No interest waits for an answer in this match."),
    "terms_are_frozen": _l("The terms of %(reference)s are signed or closed and can no longer change."),
    "party_exists": _l("This organisation takes part in %(reference)s already."),
    "party_stays": _l("The side that asks and the side that gives cannot be taken out of %(reference)s. Break the negotiation off instead."),
    "party_without_account": _l("Nobody of %(organisation)s has an open account, so it could not accept or sign. Ask the secretariat to open one first."),
    "no_such_party": _l("This organisation does not take part in the agreement."),
    "agreement_not_completed": _l("%(reference)s can be rated once it is completed."),
    "already_rated": _l("Your side has already rated %(reference)s."),
    "agreement_not_open": _l("%(reference)s has ended, so nothing can be attached to it."),
    "document_exists": _l("This file is attached to %(reference)s already."),
    "too_many_documents": _l("%(reference)s holds as many documents as it can. Remove one first, or join several in one file."),
    "document_owner": _l("Only the party that attached “%(name)s” may do this."),
    "document_stays": _l("“%(name)s” was attached when the agreement was signed, or later, and stays with it."),
    "no_such_document": _l("There is no such document, or it is not public."),
    "terms_changed": _l("The other side has put version %(number)s of the terms on the table in the meantime. Read it, then decide again."),
    "already_signed": _l("Your side has already signed %(reference)s."),
    "agreement_not_in_force": _l("%(reference)s is not in force, so its milestones and indicators cannot be reported on."),
    "more_than_need_asks": _l("This gives more than the need %(reference)s still asks for. Propose smaller terms, or say in the terms that more is meant."),
    "agreement_exists": _l("There is already an open agreement, %(reference)s, for this match."),
    "milestone_done": _l("The milestone “%(title)s” is already marked as done."),
    "post_changed": _l("Somebody else has changed this post since you opened it. Your text is kept below; compare it with the present version and save again."),
    "version_needed": _l("Say which version you have read: send its ETag in the header If-Match."),
    "version_stale": _l("Somebody else has changed this since you read it. Read it again, then decide."),
    "key_reused": _l("This idempotency key was used for another request. Take a new one for each request."),
    "key_busy": _l("The first request with this idempotency key is not answered yet. Try again in a moment."),
    "too_many_tokens": _l("You hold %(most)s tokens that still work. Revoke one first."),
    "changed_meanwhile": _l("Somebody else has changed this at the same moment. Reload the page and try again."),
    "audit_event_is_final": _l("Audit events are never changed or deleted."),
    "email_taken": _l("An account with the address %(email)s exists already."),
    "own_role": _l("You cannot take your own role or account away. Ask a colleague of the secretariat."),
    "conflict_lifted": _l("This conflict of interest was lifted already."),
    "conflict_declared": _l("You have declared this conflict of interest already."),
    "pairing_exists": _l("Somebody has suggested this pairing already. Look at the match for the reason."),
    "pairing_not_eligible": _l("This offer cannot serve this need: %(rules)s. A person’s suggestion does not change that."),
    "invitation_exists": _l("%(organisation)s has been invited to a pilot on this theme already."),
    "invitation_answered": _l("This invitation has been answered already."),
    "offer_used_up": _l("All places or all the money of the offer %(reference)s are committed by agreements, so nothing is left for another one."),
    # The action plan
    "plan_transition": _l("This plan is “%(now)s” and cannot become “%(then)s”. Reload the page to see its present state."),
    "edit_plan": _l("A country’s plan is changed by its focal point, a subregion’s by its coordinator, and any by the secretariat."),
    "plan_is_adopted": _l("This plan is adopted. Open it again before you change it."),
    "plan_is_closed": _l("This plan is closed, so nothing more can be reported."),
    "plan_is_empty": _l("This plan has no line yet, so there is nothing to adopt."),
    "plan_exists": _l("The plan for %(years)s is open already. You find it in the list."),
    "four_lines_already": _l("The subregion has %(most)s lines of this dimension already, as many as the meeting allows. Release one first."),
    "line_changed": _l("Somebody else has changed this line since you opened it. Your text is kept below; compare it with the present one and save again."),
    "line_is_chosen": _l("This line is a priority of the subregion already."),
    "linked_already": _l("This is linked to the line already."),
    "no_such_plan": _l("There is no such plan."),
    "no_such_line": _l("There is no such line in this plan; perhaps it was taken out."),
    "no_such_indicator": _l("There is no such indicator in this plan; perhaps it was taken out."),
    "no_such_link": _l("There is no such link; perhaps it was taken off already."),
    # Imports
    "import_transition": _l("This import is “%(now)s” and cannot become “%(then)s”. Reload the page to see its present state."),
    "no_such_import": _l("There is no such import, or it is not yours to see."),
    "no_such_import_kind": _l("Files of “%(kind)s” are not imported. Choose one of the kinds in the list."),
    "import_kind": _l("Your role does not import these. Organisations import their own posts, and the secretariat organisations and accounts."),
    "import_file_gone": _l("The file “%(name)s” is no longer kept. Bring it once more."),
    "import_has_problems": _l("The file has problems (%(count)s). Mend them and bring it once more, or load only the good rows."),
    "import_has_no_good_row": _l("No row of the file is good, so there is nothing to load. Mend it and bring it once more."),
    "iati_stopped": _l("The import was stopped here. Bring the file again to go on: what was loaded is recognised."),
    "iati_interrupted": _l("The import failed here. Bring the file again to go on: what was loaded is recognised."),
    "iati_twice": _l("The identifier stands on an earlier activity of this file already. The first one was used."),
    "iati_no_draft": _l("The activity has changed, but %(reference)s is no longer a draft. Change it there if the change matters."),
    "iati_same_title": _l("%(reference)s has the same title. Delete one of the two if they are the same offer."),
    "iati_more_problems": _l("%(count)s more are in the report."),
    "invitation_over": _l("This invitation has been used, or is too old. Sign in, or ask the secretariat for a new password."),
    "edited_since": _l("%(reference)s has been edited since by %(name)s (%(day)s) and was kept as it is. Choose on the page of this import whether the file’s text is taken instead."),
    "row_twice": _l("The number “%(key)s” stands in an earlier row already. Give each row a number of its own."),
    # Jobs
    "job_transition": _l("This job is “%(now)s” and cannot become “%(then)s”. Reload the page to see its present state."),
    "no_such_job": _l("There is no such job, or it is not yours to see."),
    "job_has_ended": _l("This job has ended already, so there is nothing to stop."),
    "job_failed": _l("Something unexpected went wrong, and nothing of this job was kept. Start it again; if it fails once more, write to the secretariat."),
    "job_interrupted": _l("The work was interrupted several times and was given up. Start it again; if it fails once more, write to the secretariat."),
    "no_such_routine": _l("There is no routine “%(name)s”. There are: %(known)s."),
    # Clearing
    "round_ended": _l("The round “%(name)s” has ended and can no longer change. Open a new one."),
    "round_not_cleared": _l("The round “%(name)s” has not been cleared yet, so there is nothing to send. Clear it first."),
    "round_version_is_final": _l("Version %(number)s of this round is kept as it was and can no longer change. Clear the round again to make a new one."),
    "rule_exists": _l("This round has a rule for the need %(need)s and the offer %(offer)s already. Take it off first."),
    "proposal_not_waiting": _l("This proposal no longer waits for an answer: it is “%(status)s”."),
    "proposal_answered": _l("Your side has already answered this proposal."),
    "pool_settled": _l("This question is settled, or your country has answered it already."),
    "no_such_round": _l("There is no such clearing round."),
    "no_such_version": _l("This round has no version with that number."),
    "no_such_rule": _l("This round has no such rule; perhaps it was taken off already."),
    "no_such_proposal": _l("There is no such proposal, or it is not yours to see."),
    "report_gone": _l("This file was kept for a week and is gone. Have the report made again."),
    "no_such_bulletin": _l("There is no bulletin %(reference)s."),
    "bulletin_exists": _l("The bulletin %(reference)s is published already and can no longer change."),
    "no_such_pool": _l("There is no such pool of needs, or it is not yours to see."),
    "nothing_to_propose": _l("The latest version of “%(name)s” has no pair that was not proposed already. Clear the round again, or close it."),
    "round_out_of_date": _l("These posts have left the exchange since the round was cleared: %(posts)s. Clear it again, then send it."),
    "forced_pair_left": _l("The round requires %(need)s ← %(offer)s, but one of the two is no longer on the exchange, or not within what this round clears. Take the rule off, or change what is cleared."),
    "forced_pair_not_eligible": _l("The round requires %(need)s ← %(offer)s, but this offer cannot serve this need. See “why not” for the rules that stand in the way, or take the requirement off."),
    "clearing_pair_not_eligible": _l("These pairs are required, but have no kind of support in common that is cleared here: %(pairs)s. Take the requirement off."),
    "clearing_forced_and_forbidden": _l("These pairs are both required and ruled out: %(pairs)s. Take off one of the two rules."),
    "clearing_forced_pairs_conflict": _l("These pairs cannot hold together, because they need more places than the need asks for or the offer has: %(pairs)s. Take one of them off."),
    "clearing_fixed_above_limit": _l("These pairs were proposed with more places than they may have now: %(pairs)s. A post has changed since; close this round and open a new one."),
    "clearing_grant_out_of_reach": _l("These pairs are required, but no grant between them can be large enough to be of use and small enough to be paid: %(pairs)s. Take the requirement off."),
    "clearing_floor_above_supply": _l("A floor promises more places than can be given to the needs that it is for: %(needs)s. Lower the floor."),
    "clearing_floors_conflict": _l("Each floor can be kept, but not all together. Lower one of them."),
    "clearing_floors_not_stable": _l("A stable clearing cannot promise floors. Choose another policy, or take the floors off."),
    "clearing_amount_too_large": _l("A post states more places than can be counted. Ask its author to correct the number."),
    "clearing_impossible": _l("This round cannot be cleared as it is set up. Look at its rules and at these posts: %(needs)s; %(offers)s."),
    "no_coordinator": _l("Nobody coordinates %(subregion)s on the exchange, so nobody could post the regional need. Open an account for its coordinator first."),
    "pool_unlike": _l("These needs cannot become one: they must be of at least two countries of one subregion, with a theme and a kind of support in common."),
    "pool_of_other_themes": _l("None of your task force’s themes is common to these needs."),
    "pool_taken": _l("These needs can no longer be pooled: one of them has left the exchange, or is asked about in another pool."),
    # Capacity
    "capacity_exceeded": _l("The offer %(reference)s has not enough left for this: asked are %(places_asked)s places and %(money_asked)s %(currency)s; left are %(places_left)s places and %(money_left)s %(currency)s. Propose smaller terms."),
    "means_exceeded": _l("The offer %(reference)s has not enough money left for this. Its budget is sealed; propose a smaller amount."),
    "offer_not_live": _l("The offer %(reference)s is no longer on the exchange, so nothing can be committed from it."),
    "need_not_live": _l("The need %(reference)s is no longer on the exchange."),
    "not_eligible": _l("This offer cannot serve this need. See “why not” for the rules that stand in the way."),
    # Finding
    "no_such_page": _l("There is nothing at this address."),
    "no_such_post": _l("There is no such post, or it is not public."),
    "no_such_reference": _l("There is no post %(reference)s, or it is not public."),
    "no_such_directory_entry": _l("There is no such entry, or it is not public."),
    "no_such_task_force": _l("There is no such task force."),
    "no_such_conflict": _l("There is no such declaration of a conflict of interest, or it is not yours to see."),
    "no_such_invitation": _l("There is no such invitation, or it is not yours to see."),
    "no_such_delegate": _l("There is no such colleague in your organisation."),
    "no_such_entry": _l("This entry is not there any more. Reload the page to see the present list."),
    "no_such_match": _l("There is no such match."),
    "no_such_agreement": _l("There is no such agreement, or it is not public."),
    "no_such_user": _l("There is no account with the address %(email)s."),
    "no_such_organisation": _l("There is no organisation with the code %(code)s."),
    "no_such_country": _l("There is no country of the region with the code %(code)s."),
    "no_such_programme": _l("There is no programme with the code %(code)s."),
    "merge_itself": _l("Choose two different organisations."),
    "merged_already": _l("%(code)s was merged into another organisation already."),
    "merge_task_force": _l("%(code)s is a task force with a page of its own: merge the other one into it."),
    "merge_agreement_between": _l("Both are parties to the same agreement, so they are two: %(references)s."),
    "merge_interest_between": _l("The two have begun to deal with each other, which one organisation cannot do with itself: %(references)s. Let that end first."),
    "merge_clash": _l("Both have something of which one organisation has only one: %(what)s. Remove one of the two first."),
    "no_such_token": _l("There is no such token, or it is not yours."),
    "too_many_webhooks": _l("Your organisation has %(most)s webhooks already. Remove one first."),
    "no_such_webhook": _l("There is no such webhook, or it is not your organisation’s."),
    "no_such_delivery": _l("There is no such delivery."),
    "no_such_list": _l("There is no list with that name."),
    "no_such_run": _l("There is no such match run."),
    "no_run_yet": _l("Matching has not been run yet. The secretariat starts it, or “broker match” does."),
    # Being told
    "no_such_notice": _l("There is no such notice, or it is not yours."),
    "no_such_message": _l("There is no such message."),
    "no_such_search": _l("There is no such saved search, or it is not yours."),
    "no_such_matter": _l("Nothing waits here any more: it was answered meanwhile, or it is not yours to see."),
    "too_many_searches": _l("You keep %(most)s searches already. Delete one that you no longer need."),
    "reminded_today": _l("They were reminded of this today already. Try again tomorrow."),
    "nobody_to_remind": _l("Nobody who could answer this has an open account."),
    "bad_link": _l("This link is not complete or was changed on its way. Copy the whole link from the e-mail, or sign in and choose under “My account” what comes by e-mail."),
    "link_expired": _l("This link is too old. Sign in and choose under “My account” what comes by e-mail."),
    # The request
    "invalid_input": _l("Some fields need your attention. What you wrote is kept."),
    "bad_request": _l("The request could not be understood. Go back and try again."),
    "form_expired": _l("This form was open for too long, or in another session. Send it again: what you wrote is kept."),
    "too_large": _l("What you sent is too large. Send at most %(megabytes)s MB."),
    "too_many_requests": _l("Too many attempts. Wait a minute and try again."),
    "method_not_allowed": _l("This address does not do that."),
    "not_acceptable": _l("This address answers in JSON alone. Accept application/json."),
    "not_json": _l("Send JSON, and say so: Content-Type: application/json."),
    "internal_error": _l("Something went wrong on our side. Nothing of what you did was stored half-way. Please try again."),
    # Settings, files, database
    "unknown_setting": _l("The environment names the setting %(name)s, which does not exist. Known are: %(known)s."),
    "bad_setting": _l("The setting %(name)s cannot be “%(value)s”."),
    "fixture_invalid": _l("%(count)s problems in the files of %(folder)s; nothing was loaded."),
    "no_such_folder": _l("There is no folder %(folder)s."),
    "database_behind": _l("The database is at version %(now)s, the program at %(then)s. Run “broker db upgrade”."),
    "database_ahead": _l("The database is at version %(now)s, newer than the program at %(then)s. Install the newer program."),
    "database_unreachable": _l("The database %(url)s cannot be opened: %(problem)s"),
    "evaluation_folder": _l("%(folder)s is not a labelled folder: %(problem)s"),
}  # fmt: skip
"""Domain error code → sentence."""

FIELD_PROBLEMS = {
    # The action plan
    "future_date": _l("This day has not come yet."),
    "unknown_line": _l("The plan has no line with the number “%(key)s”. Leave the cell empty for a new line."),
    "cycle_year": _l("Give the first year of the cycle, between 1990 and 2100."),
    "nothing_referred": _l("No published post or registered agreement has this reference, e.g. offer-unep-rolac-001."),
    # Files
    "file_missing": _l("Choose a file first."),
    "file_too_large": _l("The file is larger than %(megabytes)s megabytes. Split it, and bring the parts one after the other."),
    # IATI files
    "iati_not_xml": _l("This is not an XML file that can be read (%(problem)s). Download the publisher’s file of activities as XML, and bring that."),
    "iati_organisations": _l("This is a file of organisations. Bring the publisher’s file of activities: it begins with <iati-activities>."),
    "iati_other_root": _l("This is XML, but no file of IATI activities: it begins with <%(name)s> instead of <iati-activities>. Bring the publisher’s file of activities."),
    "iati_no_version": _l("The file does not say which version of the IATI standard it follows. Write version=\"2.03\" on <iati-activities> if it is one, and bring it again."),
    "iati_old_version": _l("The file follows version %(version)s of the IATI standard; versions 2.01 to 2.03 are read. Ask the publisher for a newer file, or convert it first."),
    "iati_doctype": _l("The file declares a document type or entities (<!DOCTYPE>), which no IATI file needs. Remove the declaration and bring it again."),
    "iati_broken": _l("The XML is broken in line %(line)s (%(problem)s). Activities before it were read; mend the line and bring the file again."),
    "iati_activity_too_large": _l("Nothing that ends as an activity follows line %(line)s for more than %(megabytes)s megabytes. Activities before it were read."),
    "not_a_sheet": _l("This is neither a CSV nor an XLSX file that can be read. Save it from the spreadsheet program as one of the two."),
    "unknown_encoding": _l("The letters of this file cannot be read: it is neither in Unicode (UTF-8) nor in Windows-1252. Save it from the spreadsheet program as XLSX, or as CSV with the character set UTF-8."),
    "broken_csv": _l("Line %(line)s of the CSV file cannot be read: a quotation mark is not closed, or stands in the middle of a cell."),
    "unpacks_too_large": _l("This workbook unpacks to far more than its size. Copy the rows into a new one, from the template."),
    "carries_entities": _l("This workbook holds XML entities, which no spreadsheet program writes. Copy the rows into a new one, from the template."),
    "unknown_columns": _l("These columns are not known: %(names)s. Use the names of the template’s second row, and put # before the heading of a column that is yours alone."),
    "columns_twice": _l("These columns stand there twice: %(names)s. Keep one of each."),
    "too_many_rows": _l("There are more than %(most)s rows. Split the file, and bring the parts one after the other."),
    "no_heading": _l("No row names the columns. One of the first rows must hold their names, e.g. %(names)s."),
    "no_rows": _l("There is no row below the names of the columns."),
    "other_kind_known": _l("The organisation “%(code)s” is there already, and is of another kind."),
    "required": _l("Please fill this in."),
    "unknown_code": _l("“%(code)s” is not one of the known codes."),
    "currency_of_offer": _l("Use the offer's currency, %(currency)s."),
    "more_than_committed": _l("This is more than the agreement committed."),
    "below_committed": _l("Agreements have already committed %(committed)s; the offer cannot have less."),
    "more_than_left": _l("The offer has only %(left)s left."),
    "more_than_asked": _l("The need still asks for only %(open)s. Give less, or tick below that more is meant."),
    "more_than_sealed": _l("This is more than the offer has left; how much that is, it keeps sealed."),
    "amount_missing": _l("Say how much is paid from this offer."),
    "no_live_offer_of_party": _l("This organisation has no offer on the exchange with the reference “%(reference)s”."),
    "currency_committed": _l("Agreements have committed money in %(currency)s, so the currency stays."),
    "not_negative": _l("Give zero or a positive number."),
    "before_start": _l("The end lies before the start."),
    "confirm_this": _l("Tick this to confirm it."),
    "no_date": _l("This is no date. Write it as 2026-03-31."),
    "past_date": _l("This date has passed."),
    "least_above_most": _l("The least is larger than the most."),
    "currency_missing": _l("Say in which currency the amounts are."),
    "delegate_of_government": _l("Only a government has colleagues who write needs for its focal point."),
    "organisation_or_post": _l("Name an organisation or a post, one of the two."),
    "country_or_subregion": _l("Name the country, or the subregion for a regional need."),
    "not_your_country": _l("You post for %(country)s; choose your own country."),
    "not_your_subregion": _l("You coordinate another subregion."),
    "not_your_organisation": _l("You write for your own organisation; a coordinator, for those of her subregion."),
    "modality_of_other_kind": _l("This modality belongs to another kind of support."),
    "grant_above_budget": _l("One grant cannot be larger than the budget in all."),
    "per_beneficiary_above_places": _l("The places for one beneficiary cannot be more than the places in all."),
    "group_above_places": _l("The smallest group cannot be larger than the places in all."),
    "group_above_places_per_beneficiary": _l("The smallest group cannot be larger than the places for one beneficiary."),
    "bad_cursor": _l("This is not a place in this list. Begin at its first page."),
    "bad_key": _l("A key has 1 to 255 signs."),
    "one_value": _l("Give one value."),
    "scope_beyond_role": _l("Your role cannot give a token the scope “%(scope)s”."),
    "webhook_https": _l("Give an address that begins with https:// and names no user."),
    "webhook_private": _l("This address leads into a private network. Give one that everybody can reach."),
    "webhook_unknown_host": _l("This name leads to no address."),
    "password_short": _l("Use at least 12 characters."),
    "same_language": _l("The post is written in this language already; translate it into another one."),
    "name_taken": _l("You keep another search as “%(name)s”. Choose another name."),
    "no_live_post": _l("No post on the exchange has the reference “%(reference)s”."),
    "share_range": _l("Give a percentage from 1 to 100."),
    "share_more_than_open": _l("More than what is still open."),
}  # fmt: skip
"""Code of a field's problem → sentence."""

STATES = {
    "adopted": _l("adopted"),
    "checking": _l("being checked"),
    "checked": _l("checked, not loaded yet"),
    "loading": _l("being loaded"),
    "unreadable": _l("cannot be read"),
    "loaded": _l("loaded"),
    "draft": _l("draft"),
    "to_endorse": _l("waiting for the focal point’s endorsement"),
    "submitted": _l("submitted for review"),
    "returned": _l("returned with a comment"),
    "published": _l("published"),
    "partly_committed": _l("partly committed"),
    "fulfilled": _l("fulfilled"),
    "exhausted": _l("exhausted"),
    "expired": _l("expired"),
    "withdrawn": _l("withdrawn"),
    "suggested": _l("suggested"),
    "interest": _l("interest expressed"),
    "mutual": _l("mutual interest"),
    "agreement": _l("became an agreement"),
    "declined": _l("declined"),
    "dismissed": _l("dismissed"),
    "proposed": _l("proposed"),
    "negotiated": _l("terms agreed, to be signed"),
    "signed": _l("signed"),
    "active": _l("under way"),
    "completed": _l("completed"),
    "terminated": _l("terminated"),
    "abandoned": _l("abandoned"),
    "open": _l("being prepared"),
    "sent": _l("sent to the parties"),
    "closed": _l("closed"),
    "cancelled": _l("cancelled"),
    "waiting": _l("waiting for an answer"),
    "accepted": _l("accepted by both sides"),
    "lapsed": _l("lapsed"),
    "asked": _l("countries are asked"),
    "agreed": _l("all countries consent"),
    "refused": _l("a country does not consent"),
    "willing": _l("wants to take part"),
}
"""State of a post, match, agreement, round, proposal or pool → its name."""


def sentence(error: DomainError) -> str:
    """What the error says to the reader."""
    params = {name: _shown(name, value) for name, value in error.params.items()}
    return str(SENTENCES.get(error.code, SENTENCES["internal_error"])) % params


def field_problems(error: InvalidInput) -> dict[str, Any]:
    """Each field of the error with its problems as sentences.

    Problems that already are sentences (from marshmallow) stay as they are.
    """
    return {name: _problem_list(problems) for name, problems in error.fields.items()}


def _problem_list(problems: Any) -> Any:
    if isinstance(problems, dict):
        return {key: _problem_list(value) for key, value in problems.items()}
    return [_problem(problem) for problem in problems]


def _problem(problem: Any) -> str:
    if isinstance(problem, tuple):
        code, params = problem
        return str(FIELD_PROBLEMS[code]) % params
    return str(problem)


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if name in ("now", "then", "status") and value in STATES:
        return str(STATES[value])
    if name == "rules":
        return "; ".join(str(RULE_NAMES.get(rule, rule)) for rule in value)
    if isinstance(value, list):
        return ", ".join(map(str, value)) or gettext("nothing")
    return str(value)
