"""Links, and what tells one store and its people from every other."""

import shutil
from pathlib import Path

from plaudit.web.folder import Folder
from plaudit.web.state import AppState
from tests.web.asking import ADDRESS, Site, Someone, make_folder


def store(path: Path) -> str:
    state = AppState.open(Folder(path))
    try:
        return state.store
    finally:
        state.close()


def test_every_store_has_an_id_of_its_own(folder: Path, tmp_path: Path) -> None:
    mine = store(folder)
    assert mine == store(folder)  # also after a restart
    copied = shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(folder)
    again = make_folder(folder)  # another run in the same place
    assert len({mine, store(copied), store(again)}) == 3


def test_a_page_is_told_which_store_it_speaks_to(site: Site, ann: Someone, bob: Someone) -> None:
    told = {who.get("/api/me").json()["store"] for who in (ann, bob)}
    assert told == {site.state.store} and len(site.state.store) == 8
    (cookie,) = ann.http.cookies.keys()
    assert cookie == f"plaudit_{site.state.store}"


def test_links_say_whether_a_name_is_wanted(root: Someone, ann: Someone) -> None:
    def link(path: str, body: dict) -> str:
        return root.post(path, body).json()["link"].partition("#")[0]

    assert link("/api/invitations", {"role": "annotator"}) == f"{ADDRESS}/join"
    assert link("/api/invitations", {"role": "annotator", "name": "Zoe"}) == f"{ADDRESS}/join?named"
    assert link(f"/api/people/{ann.id}/link", {}) == f"{ADDRESS}/join?named={ann.id}"


def test_the_page_of_a_link_knows_who_is_signed_in_already(site: Site, ann: Someone) -> None:
    nobody, somebody = site.visitor().get("/join"), ann.get("/join")
    assert 'data-signed-in-as="" data-signed-in-id=""' in nobody.text
    assert f'data-signed-in-as="Ann" data-signed-in-id="{ann.id}"' in somebody.text
    odd = site.let_in('"><script>').get("/join")
    assert "<script>" not in odd.text.replace("<script src", "")
